import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto'

type Key = Buffer | KeyObject

/**
 * `text` under AES-256-GCM as `<iv>.<tag and text>`, each base64url. Only the same `context` opens it again: what was sealed
 * for one thing cannot be put in the place of another.
 */
export function seal(key: Key, text: string, context = ''): string {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  const tagged = Buffer.concat([cipher.getAuthTag(), sealed])
  return `${iv.toString('base64url')}.${tagged.toString('base64url')}`
}

/** The text again; throws where key or context differ or a bit changed. */
export function unseal(key: Key, iv: string, tagged: string, context = ''): string {
  const bytes = Buffer.from(tagged, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'), { authTagLength: 16 })
  decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(0, 16))
  return Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()]).toString('utf8')
}
