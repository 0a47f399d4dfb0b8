import { clamp, escapePattern, type Imported, readDuration } from './import-notes.ts'
import { monitorCreate } from './schema.ts'

type Row = Record<string, unknown>
type Note = (about: string) => void

const days = { monday: 1, tuesday: 2, wednesday: 3, thursday: 4, friday: 5, saturday: 6, sunday: 0 } as Record<
  string,
  number
>

/** Reads the endpoints of a Gatus configuration. https://github.com/TwiN/gatus#configuration */
export function importGatus(document: Row): Imported {
  const found: Imported = { checks: [], notes: [] }
  for (const section of ['alerting', 'suites', 'remote', 'connectivity', 'announcements'])
    if (document[section] !== undefined) found.notes.push({ check: '', note: `the section ${section} is left out` })
  const windows = readWindows(document.maintenance, (note) => found.notes.push({ check: '', note }))
  for (const row of (document.endpoints ?? document.services ?? []) as Row[]) {
    const name = nameOf(row)
    const note: Note = (about) => found.notes.push({ check: name, note: about })
    const target = readTarget(row, note)
    if (target === null) continue
    if (row.alerts !== undefined) note('its alerts are left out')
    const alert = ((row.alerts as Row[] | undefined) ?? [])[0] ?? {}
    const interval = clamp(readDuration(row.interval) ?? 60, 5, 86_400)
    const client = (row.client ?? {}) as Row
    if (client.insecure) note('client.insecure: certificates are always checked here')
    const own = ((row['maintenance-windows'] as unknown[]) ?? []).flatMap((each) => readWindows(each, note))
    const read = monitorCreate.safeParse({
      ...{ name, ...target, interval_seconds: interval, retry_interval_seconds: interval },
      timeout_seconds: clamp(readDuration(client.timeout) ?? 10, 0.1, 300),
      failures: clamp(Number(alert['failure-threshold'] ?? 3), 1, 100),
      successes: clamp(Number(alert['success-threshold'] ?? 2), 1, 100),
      enabled: row.enabled !== false,
      windows: [...windows, ...own],
    })
    if (read.success) found.checks.push({ wish: read.data, pushToken: null, dependsOn: [] })
    else note(`left out: ${read.error.issues[0]!.path.join('.')} ${read.error.issues[0]!.message}`)
  }
  for (const row of (document['external-endpoints'] ?? []) as Row[]) {
    const name = nameOf(row)
    const every = readDuration(((row.heartbeat ?? {}) as Row).interval)
    const parameters = { every_seconds: Math.max(1, Math.round(every ?? 3600)), grace_seconds: 0 }
    if (every === null) found.notes.push({ check: name, note: 'it has no heartbeat: an hour is taken' })
    const wish = monitorCreate.parse({ name, type: 'push', parameters, failures: 1, successes: 1, windows })
    found.checks.push({ wish, pushToken: String(row.token ?? '') || null, dependsOn: [] })
    found.notes.push({ check: name, note: 'it now calls /api/push/<token>?status=up|down&msg=…' })
  }
  if (found.checks.length === 0) found.notes.push({ check: '', note: 'there are no endpoints in it' })
  return found
}

function nameOf(row: Row): string {
  return [row.group, row.name].filter(Boolean).join(' / ').slice(0, 120) || String(row.url)
}

function readTarget(row: Row, note: Note): { type: string; parameters: Row } | null {
  const url = String(row.url ?? '')
  const dns = row.dns as Row | undefined
  if (dns !== undefined) {
    const parameters: Row = {
      name: String(dns['query-name']).replace(/\.$/, ''),
      record_type: dns['query-type'] ?? 'A',
      server: url.replace(/^\w+:\/\//, '').split(':')[0],
    }
    readConditions(row, note, {
      body: (value) => {
        parameters.expected = [value]
      },
    })
    return { type: 'dns', parameters }
  }
  const scheme = /^(\w+):\/\//.exec(url)?.[1] ?? ''
  const place = URL.canParse(url.replace(/^\w+:/, 'http:')) ? new URL(url.replace(/^\w+:/, 'http:')) : null
  const at = { host: place?.hostname ?? '', port: Number(place?.port || 0) }
  switch (scheme) {
    case 'http':
    case 'https':
      return { type: 'http', parameters: readHttp(row, url, note) }
    case 'tcp':
      readConditions(row, note, {})
      return { type: 'tcp', parameters: at }
    case 'tls':
    case 'starttls': {
      const parameters: Row = { ...at, start_tls: scheme === 'starttls' ? 'smtp' : 'none' }
      readConditions(row, note, {
        expiry: (seconds) => {
          parameters.fail_days = seconds / 86_400
          parameters.warn_days = Math.max(21, seconds / 86_400)
        },
      })
      return { type: 'tls', parameters }
    }
    case 'ws':
    case 'wss': {
      const parameters: Row = { url, send: String(row.body ?? '') }
      readConditions(row, note, {
        body: (value) => {
          parameters.expect = escapePattern(value)
        },
      })
      return { type: 'websocket', parameters }
    }
    default:
      note(`addresses like ${scheme || url}:// are not known here: left out`)
      return null
  }
}

function readHttp(row: Row, url: string, note: Note): Row {
  const json: Row[] = []
  const parameters: Row = { url, method: row.method ?? 'GET', request_headers: row.headers ?? {}, json }
  const body = row.graphql === true ? JSON.stringify({ query: row.body }) : String(row.body ?? '')
  parameters.request_body = body
  readConditions(row, note, {
    status: (values) => {
      parameters.status = values
    },
    body: (value) => {
      parameters.body = `^${escapePattern(value)}$`
    },
    pattern: (pattern) => {
      parameters.body = pattern
    },
    json: (test) => json.push(test),
  })
  parameters.status ??= ['1xx', '2xx', '3xx', '4xx', '5xx']
  return parameters
}

type Takers = {
  status?(values: string[]): void
  body?(value: string): void
  pattern?(pattern: string): void
  json?(test: Row): void
  expiry?(seconds: number): void
}

/** Conditions that a taker has a place for; the others are told. */
function readConditions(row: Row, note: Note, take: Takers): void {
  for (const condition of ((row.conditions ?? []) as unknown[]).map(String)) {
    const [, what = '', sign = '', right = ''] = /^\s*(.+?)\s*(==|!=|<=|>=|<|>)\s*(.*?)\s*$/.exec(condition) ?? []
    const member = /^\[BODY\]([.[].*)$/.exec(what)?.[1]
    const pattern = /^pat\((.*)\)$/.exec(right)?.[1]
    const any = /^any\((.*)\)$/
      .exec(right)?.[1]
      ?.split(',')
      .map((each) => each.trim())
    if (/^\[(CONNECTED|DNS_RCODE)\]$/.test(what)) continue
    if (what === '[STATUS]' && take.status && sign === '==') take.status(any ?? [right])
    else if (what === '[STATUS]' && take.status && (sign === '<' || sign === '<=')) {
      const end = Math.floor((Number(right) - (sign === '<' ? 1 : 0)) / 100)
      take.status(Array.from({ length: clamp(end, 1, 5) }, (_, i) => `${i + 1}xx`))
    } else if (what === '[BODY]' && pattern !== undefined && take.pattern) {
      take.pattern(pattern.split('*').map(escapePattern).join('[\\s\\S]*'))
    } else if (what === '[BODY]' && sign === '==' && take.body) take.body(right)
    else if (
      member !== undefined &&
      pattern === undefined &&
      any === undefined &&
      take.json &&
      is[sign] !== undefined
    ) {
      take.json({ path: `$${member}`, is: is[sign], value: asJson(right) })
    } else if (what === '[CERTIFICATE_EXPIRATION]' && take.expiry && sign === '>') take.expiry(readDuration(right) ?? 0)
    else
      note(
        `the condition ${condition} is left out${what === '[CERTIFICATE_EXPIRATION]' ? ': add a check of type tls' : ''}`,
      )
  }
}

const is: Record<string, string | undefined> = { '==': 'equal', '!=': 'not_equal', '<': 'less', '>': 'greater' }

function asJson(value: string): unknown {
  return /^-?\d+(\.\d+)?$|^(true|false|null)$/.test(value) ? JSON.parse(value) : value.replace(/^"(.*)"$/, '$1')
}

function readWindows(written: unknown, note: Note): object[] {
  const { enabled, start, duration, timezone, every } = (written ?? {}) as Row
  if (start === undefined || enabled === false) return []
  const [hour, minute] = String(start).split(':').map(Number)
  const seconds = readDuration(duration)
  if (seconds === null || hour === undefined || minute === undefined) {
    note('its maintenance window is not understood: left out')
    return []
  }
  const on =
    Array.isArray(every) && every.length > 0 ? every.map((day) => days[String(day).toLowerCase()]).join(',') : '*'
  return [
    {
      kind: 'cron',
      cron: `${minute} ${hour} * * ${on}`,
      zone: String(timezone ?? 'UTC'),
      minutes: Math.max(1, Math.round(seconds / 60)),
    },
  ]
}
