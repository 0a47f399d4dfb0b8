import { scrub } from '../../platform/scrub.ts'

/** Longest JSON kept of a thing; of what is longer only the beginning is. */
const mostChars = 16_384
const mask = '[redacted]'

// By name, whatever is in it: what was shown once must not be shown again by the audit.
const secretNames =
  /^(key|token|text|secret|password|passwd|credential|credentials|private_key|authorization)$|(^|_)(password|secret|token|cipher|api_key|key_hash|private_key)$/i

/** `value` as JSON without anything that opens something; '' for nothing. */
export function toAuditJson(value: unknown): string {
  if (value === undefined || value === null) return ''
  const json = JSON.stringify(redact(value, 0))
  if (json === undefined) return ''
  return json.length <= mostChars ? json : JSON.stringify({ truncated: true, beginning: json.slice(0, mostChars / 2) })
}

function redact(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return scrub(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > 12) return '…'
  if (Array.isArray(value)) return value.map((each) => redact(each, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      // Masked keys such as `sk-…a1b2` and empty ones tell nothing and are worth seeing.
      secretNames.test(name) && typeof member === 'string' && member !== '' && !/[…•]/.test(member)
        ? mask
        : redact(member, depth + 1),
    ]),
  )
}
