/** https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1; the two ids are said by the hub. */
const dropped = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'upgrade', 'proxy-authenticate'],
  ...['x-request-id', 'x-trace-id'],
])

/** Lengths of the names that are looked at; most others are told apart by it without being read twice. */
const ofInterest = new Uint8Array(64)
for (const name of [
  ...dropped,
  ...['content-length', 'trailer', 'access-control-allow-origin', 'access-control-allow-credentials'],
]) {
  ofInterest[name.length] = 1
}

export type AnswerHead = {
  /** Flat: names and values, in the order, spelling and number the instance sent them. */
  headers: string[]
  hasLength: boolean
}

/**
 * An instance's headers as they go on. `told` are the hub's own; `corsOrigin` what pages of an allowed origin are let
 * read by, '' when the instance's own word on that counts. `mayTrail`: the answer will be in chunks.
 */
export function writeAnswerHead(
  raw: readonly Buffer[],
  told: readonly string[],
  { corsOrigin, mayTrail }: { corsOrigin: string; mayTrail: boolean },
): AnswerHead {
  const headers: string[] = []
  let hasLength = false
  let listed: Set<string> | null = null
  let trailers = ''
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toString('latin1')
    if (ofInterest[name.length] !== 1) {
      headers.push(name, raw[i + 1]!.toString('latin1'))
      continue
    }
    const plain = name.toLowerCase()
    if (dropped.has(plain)) {
      if (plain === 'connection') listed = readListed(raw[i + 1]!.toString('latin1'), listed)
      continue
    }
    if (plain === 'content-length') hasLength = true
    else if (plain === 'trailer') {
      trailers = raw[i + 1]!.toString('latin1')
      continue
    } else if (
      corsOrigin !== '' &&
      (plain === 'access-control-allow-origin' || plain === 'access-control-allow-credentials')
    ) {
      continue
    }
    headers.push(name, raw[i + 1]!.toString('latin1'))
  }
  const kept = listed === null ? headers : withoutListed(headers, listed)
  if (trailers !== '' && mayTrail && !hasLength) kept.push('Trailer', trailers)
  if (corsOrigin !== '') addCors(kept, corsOrigin)
  for (let i = 0; i < told.length; i++) kept.push(told[i]!)
  return { headers: kept, hasLength }
}

function addCors(headers: string[], origin: string): void {
  headers.push('access-control-allow-origin', origin)
  if (origin === '*') return
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]!.toLowerCase() === 'vary' && /(?:^|,)\s*(?:origin|\*)\s*(?:,|$)/i.test(headers[i + 1]!)) return
  }
  headers.push('vary', 'origin')
}

function readListed(value: string, before: Set<string> | null): Set<string> | null {
  if (/^\s*(?:keep-alive|close)\s*$/i.test(value)) return before
  const names = before ?? new Set<string>()
  for (const name of value.toLowerCase().split(',')) names.add(name.trim())
  // What says where the answer ends is not taken away by whoever lists it.
  names.delete('content-length')
  return names
}

function withoutListed(headers: readonly string[], listed: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (!listed.has(headers[i]!.toLowerCase())) kept.push(headers[i]!, headers[i + 1]!)
  }
  return kept
}

/** Not in trailers: https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1 */
const neverTrailing = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
  'trailer',
  'host',
])

export function writeTrailers(raw: readonly Buffer[]): [name: string, value: string][] {
  const trailers: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toString('latin1')
    const plain = name.toLowerCase()
    if (!dropped.has(plain) && !neverTrailing.has(plain)) trailers.push([name, raw[i + 1]!.toString('latin1')])
  }
  return trailers
}
