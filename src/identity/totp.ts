import { createHmac, timingSafeEqual } from 'node:crypto'

/** Codes of authenticator apps: TOTP with SHA-1, six digits and thirty seconds, https://www.rfc-editor.org/rfc/rfc6238 */
const stepMs = 30_000
const digits = 6
/** A code may come one step late or early: phones and people are slow. */
const tolerance = 1
// https://www.rfc-editor.org/rfc/rfc4648#section-6
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

export function toBase32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(held >> bits) & 31]
    }
    held &= (1 << bits) - 1
  }
  return bits === 0 ? text : text + alphabet[(held << (5 - bits)) & 31]
}

export function stepAt(nowMs: number): number {
  return Math.floor(nowMs / stepMs)
}

/** The code of a step: https://www.rfc-editor.org/rfc/rfc4226#section-5.3 */
export function codeOf(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const offset = mac[mac.length - 1]! & 15
  const number = (mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** digits
  return String(number).padStart(digits, '0')
}

/** The step that `code` belongs to around now, or null. Takes as long for a wrong code as for a right one. */
export function findStep(secret: Uint8Array, code: string, nowMs: number): number | null {
  const typed = Buffer.from(code.replace(/[\s-]/g, ''))
  const now = stepAt(nowMs)
  let found: number | null = null
  for (let step = now - tolerance; step <= now + tolerance; step++) {
    const wanted = Buffer.from(codeOf(secret, step))
    if (typed.length === wanted.length && timingSafeEqual(typed, wanted)) found = step
  }
  return found
}

/** What an authenticator app reads from a QR code: https://github.com/google/google-authenticator/wiki/Key-Uri-Format */
export function toOtpauthUrl(secret: Uint8Array, issuer: string, account: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`
  const query = new URLSearchParams({ secret: toBase32(secret), issuer, algorithm: 'SHA1', digits: '6', period: '30' })
  return `otpauth://totp/${label}?${query}`
}
