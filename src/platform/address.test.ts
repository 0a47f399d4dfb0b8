import { describe, expect, test } from 'vitest'
import { createAddressGuard, literalAddress } from './address.ts'

describe('without opened ranges', () => {
  const { refusal } = createAddressGuard([])

  test.each(['8.8.8.8', '2606:4700:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808'])('%s is public', (address) =>
    expect(refusal(address)).toBe(null),
  )

  test.each([
    ['127.0.0.1', 'loopback'],
    ['::1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.31.0.1', 'private'],
    ['192.168.1.1', 'private'],
    ['fd12::1', 'private'],
    ['100.64.0.1', 'carrier-grade NAT'],
    ['0.0.0.0', 'unspecified'],
    ['::', 'unspecified'],
    ['255.255.255.255', 'broadcast'],
    ['224.0.0.1', 'multicast'],
    ['ff02::1', 'multicast'],
    ['192.0.2.1', 'reserved'],
    ['198.18.0.1', 'reserved'],
    ['240.0.0.1', 'reserved'],
    ['2001:db8::1', 'reserved'],
    ['fec0::1', 'reserved'],
    ['4000::1', 'reserved'],
    ['169.254.169.254', 'link-local or metadata'],
    ['fe80::1', 'link-local or metadata'],
    ['fe80::1%eth0', 'link-local or metadata'],
    ['fd00:ec2::254', 'link-local or metadata'],
    ['100.100.100.200', 'link-local or metadata'],
    ['168.63.129.16', 'link-local or metadata'],
  ])('%s is %s', (address, kind) => expect(refusal(address)).toBe(kind))

  test.each([
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::127.0.0.1', 'loopback'],
    ['::7f00:1', 'reserved'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['64:ff9b::a9fe:a9fe', 'link-local or metadata'],
    ['64:ff9b:1::7f00:1', 'reserved'],
    ['2002:7f00:1::', 'loopback'],
    ['2002:a00:1::', 'private'],
    ['2001:0:1::1', 'reserved'],
    ['::ffff:0:7f00:1', 'reserved'],
  ])('%s does not hide an IPv4 address: %s', (address, kind) => expect(refusal(address)).toBe(kind))
})

describe('an opened range', () => {
  test('opens what lies in it and no more', () => {
    const { refusal } = createAddressGuard(['10.0.0.0/8', '::1', 'fd00::/8'])
    expect(refusal('10.255.0.1')).toBe(null)
    expect(refusal('::ffff:10.0.0.1')).toBe(null)
    expect(refusal('64:ff9b::a00:1')).toBe(null)
    expect(refusal('::1')).toBe(null)
    expect(refusal('fd12::1')).toBe(null)
    expect(refusal('11.0.0.1')).toBe(null)
    expect(refusal('127.0.0.1')).toBe('loopback')
    expect(refusal('192.168.0.1')).toBe('private')
  })

  test('opens metadata only when it was made for it', () => {
    const wide = createAddressGuard(['0.0.0.0/0', '::/0', '100.64.0.0/10', 'fd00::/8'])
    for (const address of ['169.254.169.254', '100.100.100.200', 'fd00:ec2::254', 'fe80::1', '64:ff9b::a9fe:a9fe']) {
      expect(wide.refusal(address)).toBe('link-local or metadata')
    }
    const meant = createAddressGuard(['169.254.0.0/16', '100.100.100.200/32', 'fd00:ec2::254'])
    for (const address of ['169.254.169.254', '100.100.100.200', 'fd00:ec2::254'])
      expect(meant.refusal(address)).toBe(null)
  })

  test('that is none is refused by its setting', () => {
    for (const range of ['10.0.0.0/33', 'localhost', '', '10.0.0/x']) {
      expect(() => createAddressGuard([range])).toThrow(/network\.allow_private.*10\.0\.0\.0\/8/)
    }
  })
})

test('4.9.38 every spelling of a literal address is recognised, and a name is not', () => {
  for (const host of [
    '2130706433',
    '0x7f.1',
    '0x7f000001',
    '0177.0.0.1',
    '127.1',
    '127.0.0.1.',
    'localhost',
    'a.LocalHost.',
  ]) {
    expect(literalAddress(host), host).toBe('127.0.0.1')
  }
  expect(literalAddress('[::1]')).toBe('::1')
  for (const host of ['example.com', 'cafe.de', 'redis', 'localhost.example.com', 'dead.beef']) {
    expect(literalAddress(host), host).toBe(null)
  }
})
