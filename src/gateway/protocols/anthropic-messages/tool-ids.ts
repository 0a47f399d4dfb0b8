/**
 * Anthropic takes tool ids of `^[a-zA-Z0-9_-]+$` only; other vendors' ids may hold dots, colons or spaces. What does not
 * fit travels as base64url behind a mark, so that the same id always maps to the same text and back.
 */
const mark = 'gh64_'

export function toWireToolId(id: string): string {
  if (/^[a-zA-Z0-9_-]+$/.test(id) && !id.startsWith(mark)) return id
  return mark + Buffer.from(id, 'utf8').toString('base64url')
}

export function fromWireToolId(wireId: string): string {
  if (!wireId.startsWith(mark)) return wireId
  const id = Buffer.from(wireId.slice(mark.length), 'base64url').toString('utf8')
  return toWireToolId(id) === wireId ? id : wireId
}
