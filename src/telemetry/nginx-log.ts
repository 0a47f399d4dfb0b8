/** What one line of an access log says; null where its format has no such variable, or the line no such number. */
export type AccessLine = {
  status: number
  seconds: number | null
  upstreamSeconds: number | null
  sentBytes: number | null
  receivedBytes: number | null
}

/** Null for a line that is not of the format. */
export type LineReader = (line: string) => AccessLine | null

type Piece = { variable: string; until: string }

/**
 * Reads a `log_format` of nginx, the text in its quotes or the whole directive, and returns what reads its lines. Null where
 * it has no `$status`, or two variables without text between them, which nobody could tell apart.
 * https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format
 */
export function readLogFormat(text: string): LineReader | null {
  const format = textOf(text)
  if (format === null) return null
  const names = [...format.matchAll(/\$(?:\{(\w+)\}|(\w+))/g)]
  if (names.length === 0) return null
  const start = format.slice(0, names[0]!.index)
  const pieces = names.map((match, i): Piece => {
    const end = match.index + match[0].length
    return { variable: match[1] ?? match[2]!, until: format.slice(end, names[i + 1]?.index) }
  })
  if (!pieces.some(({ variable }) => variable === 'status')) return null
  if (pieces.slice(0, -1).some(({ until }) => until === '')) return null
  return (line) => {
    const values = split(line, start, pieces)
    return values === null ? null : toLine(values)
  }
}

/** The format itself, of a directive such as `log_format main escape=json '…' '…';`. */
function textOf(text: string): string | null {
  const directive = /^\s*log_format\s+\S+\s+(?:escape=\w+\s+)?([\s\S]*?);?\s*$/.exec(text)
  if (directive === null) return text.replace(/\r?\n$/, '')
  const quoted = directive[1]!.trim()
  const parts = [...quoted.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s'"]+)/g)]
  return parts.length === 0 ? null : parts.map(([, a, b, c]) => (a ?? b ?? c!).replace(/\\(['"\\])/g, '$1')).join('')
}

/** One pass over the line, whatever is in it. */
function split(line: string, start: string, pieces: readonly Piece[]): Map<string, string> | null {
  if (!line.startsWith(start)) return null
  const values = new Map<string, string>()
  let at = start.length
  for (const { variable, until } of pieces) {
    const end = until === '' ? line.length : findEnd(line, until, at)
    if (end < 0) return null
    values.set(variable, line.slice(at, end))
    at = end + until.length
  }
  return at === line.length ? values : null
}

/** nginx escapes a quote within a value: as \\x22, or with a backslash where the format says escape=json. */
function findEnd(line: string, until: string, from: number): number {
  let end = line.indexOf(until, from)
  while (end > from && until.startsWith('"') && line[end - 1] === '\\' && line[end - 2] !== '\\') {
    end = line.indexOf(until, end + 1)
  }
  return end
}

function toLine(values: ReadonlyMap<string, string>): AccessLine | null {
  const status = values.get('status')!
  if (!/^\d{3}$/.test(status)) return null
  const number = (name: string) => {
    const value = values.get(name)
    return value !== undefined && /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : null
  }
  return {
    status: Number(status),
    seconds: number('request_time'),
    upstreamSeconds: sumOf(values.get('upstream_response_time')),
    sentBytes: number('bytes_sent') ?? number('body_bytes_sent'),
    receivedBytes: number('request_length'),
  }
}

/** `0.002, 0.010 : 0.001` of one request that several servers were asked for; `-` of none. */
function sumOf(text: string | undefined): number | null {
  const times = text?.match(/\d+(?:\.\d+)?/g)
  return times ? times.reduce((sum, time) => sum + Number(time), 0) : null
}
