import type { IncomingMessage } from 'node:http'
import ipaddr from 'ipaddr.js'
import { derive } from '../kernel/derive.ts'
import { fail } from '../kernel/errors.ts'

/** Who is at the other end: the address, and whether the connection truly begins on this machine. */
export type Peer = {
  clientIp: string
  isLoopback: boolean
  /** The socket's own address: the caller's, or the last proxy's. */
  speakerIp: string
  /** Whether the speaker is one of the trusted proxies, so that what it says of the caller is believed. */
  isSpeakerTrusted: boolean
}

/** Between the processes of one node: the address of the connection that a request came by. Callers' own are dropped. */
export const peerHeader = 'x-gatehouse-peer'

type Block = [ipaddr.IPv4 | ipaddr.IPv6, number]

/**
 * Reads the caller's address: the socket's, or what X-Forwarded-For (else Forwarded, else X-Real-IP) says, walked from
 * the right for as long as the speaker is one of `trustedProxies` (addresses or CIDR blocks). What anybody else says of
 * itself is ignored, and makes a loopback connection count as remote: it came through a proxy we were not told about.
 *
 * `isInside`: whoever connects is another process of this node, which says whom it speaks for; nobody else can connect.
 */
export function createPeerReader(
  trustedProxies: () => readonly string[],
  isInside = false,
): (request: IncomingMessage) => Peer {
  // A connection's own facts are remembered as long as the same list holds.
  const reader = derive(
    () => [trustedProxies()],
    (trusted) => readPeersBy(trusted, isInside),
  )
  reader()
  return (request) => reader()(request)
}

function readPeersBy(trustedProxies: readonly string[], isInside: boolean): (request: IncomingMessage) => Peer {
  const isTrusted = createAddressSet(trustedProxies, 'server.trusted_proxies')
  // A kept-alive connection asks many times; its own facts never change.
  const known = new WeakMap<IncomingMessage['socket'], Peer>()

  const readFacts = (address: string): Peer => {
    const speakerIp = normaliseIp(address)
    const isSpeakerTrusted = isTrusted(speakerIp)
    return { clientIp: speakerIp, isLoopback: isLoopbackIp(speakerIp), speakerIp, isSpeakerTrusted }
  }
  const factsOf = (socket: IncomingMessage['socket']): Peer => {
    let facts = known.get(socket)
    if (facts === undefined) {
      facts = readFacts(socket.remoteAddress ?? '')
      known.set(socket, facts)
    }
    return facts
  }

  return (request) => {
    const headers = request.headers
    // One connection from inside carries the requests of many.
    const peer = isInside ? readFacts(String(headers[peerHeader] ?? '')) : factsOf(request.socket)
    const said = headers['x-forwarded-for'] ?? headers.forwarded ?? headers['x-real-ip']
    if (said === undefined) return peer
    if (!peer.isSpeakerTrusted) return peer.isLoopback ? { ...peer, isLoopback: false } : peer
    let clientIp = peer.clientIp
    const hops = forwardedHops(headers)
    for (let i = hops.length - 1; i >= 0 && isTrusted(clientIp); i--) {
      const hop = parseHop(hops[i]!)
      if (hop === '') break
      clientIp = hop
    }
    return { ...peer, clientIp, isLoopback: peer.isLoopback && isLoopbackIp(clientIp) }
  }
}

/** What limits by address count under: the address, or the /64 an IPv6 host can roam in. */
export function limitKeyOf(ip: string): string {
  if (!ip.includes(':') || !ipaddr.IPv6.isValid(ip)) return ip
  return ipaddr.IPv6.parse(ip)
    .parts.slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')
}

/**
 * Whether an address is in one of `blocks` (addresses or CIDR), IPv4 in its IPv6 clothes included. `setting` is named
 * when one of them is neither.
 */
export function createAddressSet(blocks: readonly string[], setting: string): (ip: string) => boolean {
  const parsed = blocks.map((text) => parseBlock(text, setting))
  if (parsed.length === 0) return () => false
  return (ip) => {
    if (!ipaddr.isValid(ip)) return false
    const address = ipaddr.process(ip)
    return parsed.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits))
  }
}

function parseBlock(text: string, setting: string): Block {
  if (ipaddr.isValidCIDR(text)) {
    const [base, bits] = ipaddr.parseCIDR(text)
    // Callers are known by their plain IPv4 address, so a list of mapped ones must mean the same.
    const isMapped = base instanceof ipaddr.IPv6 && base.isIPv4MappedAddress() && bits >= 96
    return isMapped ? [base.toIPv4Address(), bits - 96] : [base, bits]
  }
  if (ipaddr.isValid(text)) {
    const address = ipaddr.process(text)
    return [address, address.kind() === 'ipv4' ? 32 : 128]
  }
  throw fail('invalid_request', `"${text}" is neither an address nor a CIDR block such as 10.0.0.0/8`, {
    param: setting,
  })
}

function normaliseIp(ip: string): string {
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip
}

function isLoopbackIp(ip: string): boolean {
  return ip === '::1' || (ip.startsWith('127.') && ipaddr.IPv4.isValid(ip))
}

function forwardedHops(headers: IncomingMessage['headers']): string[] {
  const list = headers['x-forwarded-for']
  if (list !== undefined) return String(list).split(',')
  if (headers.forwarded !== undefined) {
    return headers.forwarded.split(',').map((element) => /(?:^|;)\s*for="?([^";]+)"?/i.exec(element)?.[1] ?? '')
  }
  return [String(headers['x-real-ip'])]
}

/** `1.2.3.4`, `1.2.3.4:5678`, `::1` or `[::1]:5678` as a plain address; '' for anything else. */
function parseHop(text: string): string {
  let hop = text.trim()
  if (hop.startsWith('[')) hop = hop.slice(1, hop.indexOf(']'))
  else if (hop.indexOf(':') === hop.lastIndexOf(':')) hop = hop.split(':', 1)[0]!
  if (ipaddr.IPv4.isValidFourPartDecimal(hop)) return hop
  // One spelling of each address, or lists and limits would know several callers: `2001:DB8::5`, `::ffff:7f00:1`.
  return ipaddr.IPv6.isValid(hop) && !hop.includes('%') ? ipaddr.process(hop).toString() : ''
}
