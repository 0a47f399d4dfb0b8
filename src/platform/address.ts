import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { fail } from '../kernel/errors.ts'

/** The setting that opens private networks to upstreams, as operators know it. */
export const allowSetting = 'network.allow_private'

/** Decides which addresses the hub may connect to for a URL that a person has set. */
export type AddressGuard = {
  /** null when a connection to `address` (IPv4 or IPv6 text) is allowed, else the class it belongs to. */
  refusal(address: string): string | null
}

type Address = ipaddr.IPv4 | ipaddr.IPv6
type Range = readonly [Address, number]

// Instance metadata hands credentials to whoever asks. It opens only to a range made for it, never by way of `10.0.0.0/8`
// or `0.0.0.0/0`. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html (both AWS),
// 100.100.100.200 is Alibaba's, 168.63.129.16 Azure's, 192.0.0.192 Oracle's, fd20:ce::254 Google's.
const guarded: readonly Range[] = [
  '169.254.0.0/16',
  'fe80::/10',
  'fd00:ec2::254/128',
  'fd20:ce::254/128',
  '100.100.100.200/32',
  '168.63.129.16/32',
  '192.0.0.192/32',
].map((cidr) => ipaddr.parseCIDR(cidr))

/** The guard for the ranges an operator has opened; `invalid_request` when one of them cannot be read. */
export function createAddressGuard(allow: readonly string[]): AddressGuard {
  const opened = allow.map(parseRange)
  return {
    refusal(text) {
      const address = decisive(parseAddress(text))
      const special = guarded.find((range) => isWithin(address, range))
      const isOpened = opened.some((range) => isWithin(address, range) && (!special || range[1] >= special[1]))
      if (isOpened) return null
      if (special) return 'link-local or metadata'
      const kind = classify(address)
      return kind === 'public' ? null : kind
    },
  }
}

/**
 * The address a URL's host spells literally, also as `[::1]`, `2130706433`, `0x7f.1` or `0177.1`; null for a name.
 * Names under `localhost` count as loopback: https://www.rfc-editor.org/rfc/rfc6761#section-6.3
 */
export function literalAddress(host: string): string | null {
  const bare = host.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (/(^|\.)localhost$/i.test(bare)) return '127.0.0.1'
  if (isIP(bare) !== 0) return bare
  return /^[0-9a-fx.]+$/i.test(bare) && ipaddr.IPv4.isValid(bare) ? ipaddr.IPv4.parse(bare).toString() : null
}

function parseAddress(text: string): Address {
  // ipaddr.js knows zones of letters and digits only; the zone says nothing of the class.
  return ipaddr.process(text.replace(/%.*$/, ''))
}

/** The IPv4 address a translation prefix carries, because that is where the packets end; else the address itself. */
function decisive(address: Address): Address {
  if (!isVersion6(address)) return address
  const bytes = address.toByteArray()
  const carried = (at: number) => new ipaddr.IPv4(bytes.slice(at, at + 4))
  // https://www.rfc-editor.org/rfc/rfc6052#section-2.1, https://www.rfc-editor.org/rfc/rfc3056#section-2
  if (isWithin(address, [ipaddr.parse('64:ff9b::'), 96])) return carried(12)
  if (address.range() === '6to4') return carried(2)
  return address
}

function classify(address: Address): string {
  const range = address.range()
  if (range !== 'unicast') return words[range] ?? 'reserved'
  // Global unicast is 2000::/3 so far; the rest is unassigned: https://www.iana.org/assignments/ipv6-address-space/
  return isVersion6(address) && !isWithin(address, [ipaddr.parse('2000::'), 3]) ? 'reserved' : 'public'
}

const words: Record<string, string> = {
  private: 'private',
  uniqueLocal: 'private',
  loopback: 'loopback',
  linkLocal: 'link-local or metadata',
  carrierGradeNat: 'carrier-grade NAT',
  unspecified: 'unspecified',
  broadcast: 'broadcast',
  multicast: 'multicast',
}

function isWithin(address: Address, [network, prefix]: Range): boolean {
  return address.kind() === network.kind() && address.match(network, prefix)
}

function isVersion6(address: Address): address is ipaddr.IPv6 {
  return address.kind() === 'ipv6'
}

function parseRange(text: string): Range {
  try {
    if (text.includes('/')) return ipaddr.parseCIDR(text)
    const address = ipaddr.process(text)
    return [address, isVersion6(address) ? 128 : 32]
  } catch (cause) {
    throw fail(
      'invalid_request',
      `${allowSetting}: "${text}" is no address range. Write it like 10.0.0.0/8 or fd00::/8.`,
      {
        param: allowSetting,
        cause,
      },
    )
  }
}

/** Whether `text` is an address or a CIDR block. */
export function isAddressRange(text: string): boolean {
  return text.includes('/') ? ipaddr.isValidCIDR(text) : ipaddr.isValid(text) && isIP(text) !== 0
}

/** Whether an address lies in one of `ranges`; what is no address lies in none. Throws for what is no range. */
export function createAddressList(ranges: readonly string[]): (ip: string) => boolean {
  const parsed = ranges.map(parseRange)
  return (ip) => isIP(ip) !== 0 && parsed.some((range) => isWithin(parseAddress(ip), range))
}
