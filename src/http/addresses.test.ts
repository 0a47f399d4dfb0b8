import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { createPeerReader, limitKeyOf } from './addresses.ts'

const from = (remoteAddress: string, headers: IncomingHttpHeaders = {}) =>
  ({ socket: { remoteAddress }, headers }) as unknown as IncomingMessage

const read = (trusted: string[], remoteAddress: string, headers?: IncomingHttpHeaders) =>
  createPeerReader(() => trusted)(from(remoteAddress, headers))

describe('the caller address', () => {
  test('is the socket address when nobody is trusted, whatever the headers claim', () => {
    const forged = { 'x-forwarded-for': '10.9.9.9', 'x-real-ip': '10.9.9.9', forwarded: 'for=10.9.9.9' }
    expect(read([], '203.0.113.7', forged).clientIp).toBe('203.0.113.7')
  })

  test('is what the trusted chain saw, walked from the right', () => {
    const chain = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9, 10.0.0.2' }
    expect(read(['10.0.0.0/8'], '10.0.0.1', chain).clientIp).toBe('203.0.113.9')
    expect(read(['10.0.0.1'], '10.0.0.1', chain).clientIp).toBe('10.0.0.2')
  })

  test.each([
    ['203.0.113.9:4711', '203.0.113.9'],
    ['[2001:db8::5]:4711', '2001:db8::5'],
    ['2001:db8::5', '2001:db8::5'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['unknown', '10.0.0.1'],
    ['0x7f.1', '10.0.0.1'],
  ])('reads the hop %s as %s', (hop, expected) => {
    expect(read(['10.0.0.0/8'], '10.0.0.1', { 'x-forwarded-for': hop }).clientIp).toBe(expected)
  })

  test('may come from Forwarded or X-Real-IP of a trusted proxy', () => {
    const forwarded = 'for=6.6.6.6, for="[2001:db8::9]:80";proto=https'
    expect(read(['10.0.0.1'], '::ffff:10.0.0.1', { forwarded }).clientIp).toBe('2001:db8::9')
    expect(read(['10.0.0.1'], '10.0.0.1', { 'x-real-ip': '203.0.113.1' }).clientIp).toBe('203.0.113.1')
  })
})

describe('loopback', () => {
  test('is a plain connection of this machine', () => {
    for (const ip of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) expect(read([], ip).isLoopback).toBe(true)
    expect(read([], '192.0.2.1').isLoopback).toBe(false)
  })

  test('is not what comes through a proxy on this machine', () => {
    expect(read([], '127.0.0.1', { 'x-forwarded-for': '127.0.0.1' }).isLoopback).toBe(false)
    expect(read(['127.0.0.1'], '127.0.0.1', { 'x-forwarded-for': '203.0.113.1' }).isLoopback).toBe(false)
    expect(read(['127.0.0.1'], '127.0.0.1', { 'x-forwarded-for': '127.0.0.1' }).isLoopback).toBe(true)
  })

  test('cannot be claimed from outside', () => {
    expect(read([], '203.0.113.1', { 'x-forwarded-for': '127.0.0.1' }).isLoopback).toBe(false)
    expect(read(['203.0.113.1'], '203.0.113.1', { 'x-forwarded-for': '127.0.0.1' }).isLoopback).toBe(false)
  })
})

test('a proxy that is no address stops the start', () => {
  expect(() => createPeerReader(() => ['example.com'])).toThrow('example.com')
})

test('limits count an IPv6 host by its network', () => {
  expect(limitKeyOf('2001:db8:1:2:3::4')).toBe(limitKeyOf('2001:db8:1:2::9'))
  expect(limitKeyOf('2001:db8:1:3::4')).not.toBe(limitKeyOf('2001:db8:1:2::9'))
  expect(limitKeyOf('203.0.113.1')).toBe('203.0.113.1')
})
