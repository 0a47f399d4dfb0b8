/**
 * `npm run bench -- conversations [--messages 10000000] [--url postgres://…] [--keep]`: what lists of sessions and messages
 * cost when there are many. Fills a store, ten messages a session, and asks a hub over HTTP what pages ask, as the people
 * who ask it.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { quantile } from '../analytics/calls.ts'
import { cores, describeMachine, processTree, requirePinnedCores, threadCpuMs } from '../gateway/machine.ts'
import { answers, freePort, start } from '../gateway/processes.ts'
import { type Filled, fill, idOf, type Known, sessionIdOf } from './fill.ts'

const { values: flags } = parseArgs({
  options: {
    messages: { type: 'string', default: '200000' },
    url: { type: 'string', default: '' },
    tries: { type: 'string', default: '100' },
    fill: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})
const [wanted, tries] = [Number(flags.messages), Number(flags.tries)]
if (!(Number.isInteger(wanted) && wanted >= 10_000 && tries >= 1)) {
  console.error(
    'npm run bench -- conversations [--messages N, 10000 or more] [--url postgres://…] [--tries N] [--keep: the filled store stays, and is used again] [--fill: it is filled, and nothing is asked]',
  )
  process.exit(1)
}

const goalMs = 200
const folder = fileURLToPath(new URL('.', import.meta.url))
const data = `${folder}.work/data-${wanted}`
const noteFile = `${data}/filled.json`
const adminKey = 'bench-admin-key-of-no-value-0123456789'
const password = 'a password of the bench'
const emailOf = (name: string) => `${name}@example.com`
const url = flags.url === '' ? `sqlite:${data}/gatehouse.db` : flags.url

type Headers = Record<string, string>

async function startHub() {
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const started = await start('gatehouse', {
    core: `${cores.subject},${cores.load}`,
    command: [process.execPath, 'bin/gatehouse', 'serve', '--port', String(port), '--data', data],
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { NODE_ENV: 'production', ADMIN_KEY: adminKey, GATEHOUSE_DATABASE_URL: url },
    logFile: `${folder}.work/gatehouse.log`,
    isReady: () => answers(`${address}/readyz`),
  })
  const call = async (method: string, path: string, headers: Headers = asAdmin, body?: object) => {
    const response = await fetch(address + path, {
      ...{ method, headers: { ...headers, ...(body && { 'content-type': 'application/json' }) } },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 500)}`)
    return JSON.parse(text)
  }
  return { ...started, call }
}

const asAdmin: Headers = { 'x-admin-key': adminKey }

async function fillOnce(): Promise<Filled> {
  if (existsSync(noteFile)) return JSON.parse(readFileSync(noteFile, 'utf8')) as Filled
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const hub = await startHub()
  const { id: tenantId } = await hub.call('POST', '/api/tenants', asAdmin, { name: 'talkers' })
  const person = async (name: string, role: string): Promise<string> => {
    const wish = { email: emailOf(name), password, name, role, tenant_id: tenantId }
    return (await hub.call('POST', '/api/users', asAdmin, wish)).id
  }
  const known: Known = { tenantId, busyId: await person('busy', 'user'), quietId: await person('quiet', 'user') }
  await person('admin', 'tenant_admin')
  await hub.stop()
  console.log(`filling: ${wanted} messages`)
  const filled = await fill(url, data, wanted, Date.now(), known)
  writeFileSync(noteFile, JSON.stringify(filled))
  console.log(`filled: ${filled.messages} messages in ${filled.sessions} sessions, in ${filled.seconds} s`)
  return filled
}

requirePinnedCores()
const { sessions, messages, seconds, begun, ended } = await fillOnce()
if (flags.fill) process.exit()
const hub = await startHub()
const login = async (name: string): Promise<Headers> => {
  const { access_token } = await hub.call('POST', '/api/auth/login', {}, { email: emailOf(name), password })
  return { authorization: `Bearer ${access_token}` }
}
const [asTenant, asBusy, asQuiet] = [await login('admin'), await login('busy'), await login('quiet')]
const busyId = (await hub.call('GET', '/api/auth/me', asBusy)).id as string

/** A moment somewhere in all of the time: deep pages are to cost what the first costs. */
const somewhere = (i: number) => Math.floor(begun + ((i * 0.618) % 1) * (ended - begun))
const some = (i: number) => (i * 7919) % sessions
/** The busiest person's and the quiet one's. */
const [ofBusy, ofQuiet] = [(i: number) => some(i) - (some(i) % 10), (i: number) => some(i) - (some(i) % 1000) + 1]
const { next_cursor } = await hub.call('GET', `/api/sessions?to=${somewhere(3)}`)
const longest = idOf(0, sessions)
const deep = (await hub.call('GET', `/api/sessions/${longest}/messages?limit=200`)).next_cursor

const cases: Record<string, [Headers, (i: number) => string]> = {
  'all sessions, the first page': [asAdmin, () => '/api/sessions'],
  'all sessions, from somewhere on': [asAdmin, (i) => `/api/sessions?to=${somewhere(i)}`],
  'all sessions, the page after another': [asAdmin, () => `/api/sessions?cursor=${next_cursor}`],
  'all sessions, 200 of one hour': [
    asAdmin,
    (i) => `/api/sessions?limit=200&from=${somewhere(i) - 3_600_000}&to=${somewhere(i)}`,
  ],
  'all sessions of a person': [asAdmin, (i) => `/api/sessions?user_id=usr_${2 + (i % 997)}`],
  'all sessions of the busiest person, from somewhere on': [
    asAdmin,
    (i) => `/api/sessions?user_id=${busyId}&to=${somewhere(i)}`,
  ],
  "all sessions by the caller's own id": [asAdmin, (i) => `/api/sessions?session_id=${sessionIdOf(some(i))}`],
  'all sessions of an id that nobody has': [asAdmin, (i) => `/api/sessions?session_id=nobody-${i}`],
  "a tenant's sessions": [asTenant, () => '/api/sessions'],
  "a tenant's sessions of a person, from somewhere on": [
    asTenant,
    (i) => `/api/sessions?user_id=${busyId}&to=${somewhere(i)}`,
  ],
  "one's own, the busiest person": [asBusy, (i) => `/api/sessions?to=${somewhere(i)}`],
  "one's own, of a thousand sessions": [asQuiet, () => '/api/sessions'],
  "one's own, of an hour in which there are none": [
    asQuiet,
    () => `/api/sessions?from=${begun - 7_200_000}&to=${begun - 3_600_000}`,
  ],
  "one's own, by its own id": [asBusy, (i) => `/api/sessions?session_id=${sessionIdOf(ofBusy(i))}`],
  'one session': [asAdmin, (i) => `/api/sessions/${idOf(some(i), sessions)}`],
  "one session, one's own": [asQuiet, (i) => `/api/sessions/${idOf(ofQuiet(i), sessions)}`],
  'messages of a session': [asAdmin, (i) => `/api/sessions/${idOf(some(i), sessions)}/messages`],
  "messages of one's own session": [asBusy, (i) => `/api/sessions/${idOf(ofBusy(i), sessions)}/messages`],
  'messages of the longest session, 200 a page': [asAdmin, () => `/api/sessions/${longest}/messages?limit=200`],
  'the page after that': [asAdmin, () => `/api/sessions/${longest}/messages?limit=200&cursor=${deep}`],
}

const processes = processTree(hub.pid)
const spent = () => [...threadCpuMs(processes).values()].reduce((sum, ms) => sum + ms, 0)
const round = (ms: number) => Number(ms.toFixed(1))
const lists = []
for (const [name, [headers, pathOf]] of Object.entries(cases)) {
  const times: number[] = []
  const found: number[] = []
  const before = spent()
  for (let i = 0; i < tries; i++) {
    const startedAt = performance.now()
    const answer = await hub.call('GET', pathOf(i), headers)
    times.push(performance.now() - startedAt)
    found.push(answer.data?.length ?? 1)
  }
  const cpuMs = round((spent() - before) / tries)
  const [p50Ms, p95Ms, maxMs] = [0.5, 0.95, 1].map((share) => round(quantile(times, share)))
  lists.push({ name, rows: quantile(found, 0.5), p50Ms: p50Ms!, p95Ms: p95Ms!, maxMs: maxMs!, cpuMs })
}
await hub.stop()

const megabytes = flags.url === '' ? Math.round(statSync(`${data}/gatehouse.db`).size / 2 ** 20) : null
const engine = flags.url === '' ? 'SQLite' : 'PostgreSQL'
const lines = [
  `${messages} messages in ${sessions} sessions, ${engine}${megabytes === null ? '' : `, ${megabytes} MB`}; ${tries} times each`,
  '',
  `| list, over HTTP | rows, p50 | p50 ms | p95 ms (≤ ${goalMs}) | max ms | CPU ms |`,
  '| --- | --- | --- | --- | --- | --- |',
  ...lists.map(({ name, rows, p50Ms, p95Ms, maxMs, cpuMs }) => {
    const p95 = p95Ms <= goalMs ? String(p95Ms) : `**${p95Ms}** (missed)`
    return `| ${name} | ${rows} | ${p50Ms} | ${p95} | ${maxMs} | ${cpuMs} |`
  }),
]
console.log(lines.join('\n'))
if (wanted >= 10_000_000) {
  const results = `${folder}results`
  mkdirSync(results, { recursive: true })
  const file = `${results}/${engine.toLowerCase()}`
  const machine = describeMachine()
  const told = {
    at: new Date().toISOString(),
    machine,
    engine,
    messages,
    sessions,
    megabytes,
    fillSeconds: seconds,
    lists,
  }
  writeFileSync(`${file}.json`, `${JSON.stringify(told, null, 2)}\n`)
  writeFileSync(`${file}.md`, `${lines.join('\n')}\n`)
}
if (!flags.keep) rmSync(data, { recursive: true, force: true })
if (lists.some(({ p95Ms }) => p95Ms > goalMs)) process.exitCode = 1
