import { domainToASCII } from 'node:url'

const localPart = /^[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+)*$/u
const asciiDomain = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])$/

/**
 * The one form in which an address is stored and compared: lower case, composed characters (NFC), the domain as DNS
 * knows it (`Ana@BÜCHER.example` is `ana@xn--bcher-kva.example`). null for what is no address of a person.
 */
export function normaliseEmail(written: string): string | null {
  const text = written.trim().normalize('NFC').toLowerCase()
  const at = text.lastIndexOf('@')
  const local = text.slice(0, at)
  const domain = domainToASCII(text.slice(at + 1))
  if (at < 1 || local.length > 64 || !localPart.test(local) || !asciiDomain.test(domain)) return null
  const email = `${local}@${domain}`
  return email.length <= 254 ? email : null
}

/** What somebody typed at the door, as it is looked up: never judged, so that nobody learns what could be a name. */
export function readLoginName(typed: string): string {
  const text = typed.trim().normalize('NFC').toLowerCase()
  return text.includes('@') ? (normaliseEmail(text) ?? text) : text
}
