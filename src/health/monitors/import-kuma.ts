import { clamp, escapePattern, type Imported } from './import-notes.ts'
import { monitorCreate } from './schema.ts'

type Row = Record<string, unknown>

/** Reads a backup of Uptime Kuma 1.x (Settings → Backup), or the monitors of 2.x as JSON. */
export function importKuma(document: Row): Imported {
  const found: Imported = { checks: [], notes: [] }
  const rows = (document.monitorList ?? document.monitors ?? []) as Row[]
  const all = Array.isArray(rows) ? rows : (Object.values(rows) as Row[])
  const names = new Map(all.map((row) => [row.id, text(row.name)]))
  for (const row of all) {
    const name = text(row.name) || `monitor ${text(row.id)}`
    const note = (about: string) => found.notes.push({ check: name, note: about })
    const target = readTarget(row, note)
    if (target === null) {
      note(`the type ${text(row.type)} is not known here: left out`)
      continue
    }
    if (row.ignoreTls && target.type !== 'tls') note('ignoreTls: certificates are always checked here')
    if (row.proxyId) note('its proxy is left out: see network.proxy')
    if (row.notificationIDList && Object.keys(row.notificationIDList).length > 0) note('its notifications are left out')
    const interval = clamp(number(row.interval, 60), 5, 86_400)
    const read = monitorCreate.safeParse({
      ...{ name: name.slice(0, 120), ...target, description: text(row.description).slice(0, 1000) },
      interval_seconds: interval,
      retry_interval_seconds: clamp(number(row.retryInterval, interval), 1, interval),
      timeout_seconds: clamp(number(row.timeout, interval * 0.8), 0.1, 300),
      failures: clamp(number(row.maxretries, 0) + 1, 1, 100),
      successes: 1,
      enabled: row.active !== 0 && row.active !== false,
      is_upside_down: row.upsideDown === true || row.upsideDown === 1,
    })
    if (!read.success) {
      note(`left out: ${read.error.issues[0]!.path.join('.')} ${read.error.issues[0]!.message}`)
      continue
    }
    const parent = names.get(row.parent)
    found.checks.push({
      wish: read.data,
      pushToken: row.type === 'push' ? text(row.pushToken) || null : null,
      dependsOn: parent ? [parent] : [],
    })
  }
  if (all.length === 0) found.notes.push({ check: '', note: 'there is no monitorList in it' })
  return found
}

function readTarget(row: Row, note: (about: string) => void): { type: string; parameters: object } | null {
  const place = { host: text(row.hostname), port: number(row.port, 0) }
  switch (row.type) {
    case 'http':
    case 'keyword':
    case 'json-query':
      return { type: 'http', parameters: readHttp(row, note) }
    case 'port':
      return { type: 'tcp', parameters: place }
    case 'smtp':
      return {
        type: 'smtp',
        parameters: {
          ...place,
          security:
            text(row.smtpSecurity) === 'secure' ? 'tls' : text(row.smtpSecurity) === 'starttls' ? 'starttls' : 'none',
        },
      }
    case 'dns':
      return {
        type: 'dns',
        parameters: {
          ...{ name: place.host, record_type: text(row.dns_resolve_type) || 'A', server_port: place.port || 53 },
          ...(text(row.dns_resolve_server) ? { server: text(row.dns_resolve_server).split(',')[0]!.trim() } : {}),
        },
      }
    case 'push':
      return { type: 'push', parameters: { every_seconds: Math.max(1, number(row.interval, 60)), grace_seconds: 0 } }
    case 'websocket-upgrade':
      return { type: 'websocket', parameters: { url: text(row.url) } }
    case 'postgres':
    case 'mysql':
    case 'redis': {
      const parameters = readAddress(text(row.databaseConnectionString), note)
      if (parameters === null) return null
      const statement = text(row.databaseQuery)
      return {
        type: row.type,
        parameters: { ...parameters, ...(statement && row.type !== 'redis' ? { statement } : {}) },
      }
    }
    default:
      return null
  }
}

function readHttp(row: Row, note: (about: string) => void): object {
  const headers: Record<string, string> = {}
  try {
    Object.assign(headers, JSON.parse(text(row.headers) || '{}'))
  } catch {
    note('its headers are no JSON: left out')
  }
  const method = text(row.authMethod)
  if (method === 'basic' || (method === '' && text(row.basic_auth_user))) {
    headers.authorization = `Basic ${Buffer.from(`${text(row.basic_auth_user)}:${text(row.basic_auth_pass)}`).toString('base64')}`
  } else if (method !== '' && method !== 'null') note(`the sign-in ${method} is left out`)
  if (row.expiryNotification) note('certificate expiry: add a check of type tls')
  const keyword = row.type === 'keyword' ? escapePattern(text(row.keyword)) : ''
  const path = text(row.jsonPath)
  if (row.type === 'json-query' && !/^\$?[\w.[\]]*$/.test(path))
    note(`the JSONata expression ${path} may not be the same as a path here`)
  return {
    ...{
      url: text(row.url),
      method: text(row.method) || 'GET',
      request_headers: headers,
      request_body: text(row.body),
    },
    max_redirects: clamp(number(row.maxredirects, 10), 0, 10),
    status: list(row.accepted_statuscodes).map((code) => code.replace(/^(\d)00-\d99$/, '$1xx')),
    ...(row.invertKeyword ? { body_absent: keyword } : { body: keyword }),
    ...(row.type === 'json-query'
      ? {
          json: [
            { path: path.startsWith('$') ? path : `$.${path}`, is: 'equal', value: asJson(text(row.expectedValue)) },
          ],
        }
      : {}),
  }
}

function readAddress(address: string, note: (about: string) => void): object | null {
  if (!URL.canParse(address)) {
    note('its connection string is no address')
    return null
  }
  const { hostname, port, username, password, pathname, searchParams } = new URL(address)
  return {
    ...{ host: hostname, user: decodeURIComponent(username), password: decodeURIComponent(password) },
    ...(port === '' ? {} : { port: Number(port) }),
    ...{ database: pathname.slice(1), tls: address.startsWith('rediss:') || searchParams.get('sslmode') === 'require' },
  }
}

/** Kuma compares texts; a number stands as itself in JSON. */
function asJson(value: string): unknown {
  return /^-?\d+(\.\d+)?$|^(true|false|null)$/.test(value) ? JSON.parse(value) : value
}

function list(value: unknown): string[] {
  const codes = typeof value === 'string' ? (JSON.parse(value || '[]') as unknown[]) : Array.isArray(value) ? value : []
  return codes.length === 0 ? ['2xx'] : codes.map(String)
}

function text(value: unknown): string {
  return value === null || value === undefined ? '' : String(value)
}

function number(value: unknown, otherwise: number): number {
  const read = Number(value)
  return value === null || value === undefined || value === '' || !Number.isFinite(read) ? otherwise : read
}
