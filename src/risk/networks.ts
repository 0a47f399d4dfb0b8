import ipaddr from 'ipaddr.js'

/** As nearly every address is written; a leading zero would make it octal. */
const plainIpv4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/

/**
 * The network an address stands in, wide enough that a home line, an office or a cluster that gets new addresses stays
 * one: 16 bits of IPv4, 32 of IPv6, which is about what one provider is given. '' for what is no address.
 */
export function networkOf(ip: string): string {
  const plain = plainIpv4.exec(ip)
  if (plain?.slice(1).every((part) => Number(part) <= 255)) return `${plain[1]}.${plain[2]}.0.0/16`
  if (!ipaddr.isValid(ip)) return ''
  const address = ipaddr.process(ip)
  const bytes = address.toByteArray()
  return address.kind() === 'ipv4'
    ? `${bytes[0]}.${bytes[1]}.0.0/16`
    : `${[0, 2].map((i) => ((bytes[i]! << 8) | bytes[i + 1]!).toString(16)).join(':')}::/32`
}
