const longest = 300
const ids = /\b[a-z]{3}_[0-9a-z]{26}\b|\b(?=[0-9a-f-]*\d)[0-9a-f][0-9a-f-]{7,}\b/gi
const quoted = /"[^"]*"|'[^']*'|`[^`]*`/g
const numbers = /\d+(?:[.:]\d+)*/g

/** A message without what changes from one time to the next: ids, numbers, what stands in quotes. */
export function fingerprint(message: string): string {
  return message.slice(0, longest).replace(ids, '#').replace(quoted, '#').replace(numbers, '#')
}
