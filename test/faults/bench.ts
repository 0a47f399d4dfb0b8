import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createHttp } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTls } from 'node:tls'
import Sqlite from 'better-sqlite3'
import { Redis } from 'ioredis'
import pg from 'pg'
import { runCli } from '../../src/cli/run.ts'
import { startHub } from '../harness/hub.ts'
import { startRedis } from '../harness/services.ts'
import type { Bench, Made } from './fault.ts'

export type Shown = {
  id: string
  status: string
  evidence: string
  fixable: boolean
  cause: { en: string; zh: string } | null
  remedy: { en: string; zh: string } | null
}

const listed = { object: 'list', data: [{ id: 'model-a', object: 'model' }] }

/** A hub that is well, its servers, and the verbs that break them one after the other. */
export async function openFaultBench(postgresUrl: string) {
  const ends: (() => Promise<unknown> | unknown)[] = []
  const undos: (() => Promise<unknown> | unknown)[] = []
  const redis = await startRedis(['--maxclients', '50'])
  ends.push(() => redis.destroy())
  let answer: { status: number; body: unknown } = { status: 200, body: listed }
  const vendor = createHttp((request, response) => {
    const isCall = request.url?.endsWith('/chat/completions') === true
    const { status, body } = isCall ? { status: 200, body: completion } : answer
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  const vendorPort = await listen(vendor)
  ends.push(() => close(vendor))
  const template = await makeTemplate(vendorPort, ends)
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-faults-'))
  ends.push(() => rmSync(home, { recursive: true, force: true }))
  let count = 0

  const folder = () => {
    const path = mkdtempSync(join(home, `${++count}-`))
    undos.push(() => rmSync(path, { recursive: true, force: true }))
    return path
  }
  const onServer = async (statement: string) => {
    const client = new pg.Client({ connectionString: postgresUrl })
    await client.connect()
    await client.query(statement).finally(() => client.end())
  }
  const onRedis = async (...args: string[]) => {
    const client = new Redis(redis.url, { lazyConnect: true, retryStrategy: () => null })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.call(args[0]!, ...args.slice(1))
    } finally {
      client.disconnect()
    }
  }
  const changed = (change: (url: URL) => void) => {
    const url = new URL(postgresUrl)
    change(url)
    return url.href
  }

  const bench: Bench = {
    folder,
    undo: (how) => void undos.push(how),
    hubCopy() {
      const path = join(folder(), 'data')
      cpSync(template, path, { recursive: true, preserveTimestamps: true })
      chmodSync(path, 0o700)
      return path
    },
    change(dataDir, ...statements) {
      const db = new Sqlite(join(dataDir, 'gatehouse.db'))
      // Whoever changes what is kept for ever takes its guards away first.
      const guards = db.prepare("select name from sqlite_master where type = 'trigger'").all() as { name: string }[]
      for (const { name } of guards) db.exec(`drop trigger ${name}`)
      for (const statement of statements) db.exec(statement)
      db.close()
    },
    insert(dataDir, table, row) {
      const db = new Sqlite(join(dataDir, 'gatehouse.db'))
      const columns = db.prepare(`pragma table_info(${table})`).all() as {
        name: string
        type: string
        notnull: number
      }[]
      const values = columns.map(
        ({ name, type, notnull }) => row[name] ?? (notnull === 0 ? null : /text/i.test(type) ? '' : 0),
      )
      db.prepare(`insert into ${table} values (${columns.map(() => '?').join(', ')})`).run(...values)
      db.close()
    },
    async speaking(words, isFirst = false) {
      const server = createServer((socket) => {
        socket.on('error', () => {})
        if (isFirst) socket.end(words, 'latin1')
        else socket.on('data', () => socket.end(words, 'latin1'))
      })
      undos.push(() => close(server))
      return listen(server)
    },
    async web(respond) {
      const server = createHttp((request, response) => {
        const { status, body, type = 'text/html' } = respond(request.url ?? '')
        response.writeHead(status, { 'content-type': type }).end(body)
      })
      undos.push(() => close(server))
      return listen(server)
    },
    async tls(days) {
      const path = folder()
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-subj',
          '/CN=localhost',
        ].concat(['-days', `${days}`, '-keyout', join(path, 'key.pem'), '-out', join(path, 'cert.pem')]),
        { stdio: 'ignore' },
      )
      const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(path, name)))
      const server = createTls({ key: key!, cert: cert! }, (socket) => socket.on('error', () => {}))
      server.on('tlsClientError', () => {})
      undos.push(() => close(server))
      return listen(server)
    },
    disk(sizeKib, options = '') {
      const path = folder()
      execFileSync('mount', [
        '-t',
        'tmpfs',
        '-o',
        [`size=${sizeKib}k`, 'mode=700', options].filter(Boolean).join(','),
        'tmpfs',
        path,
      ])
      undos.push(() => execFileSync('umount', ['-l', path]))
      return path
    },
    vendor(status, body) {
      answer = { status, body }
      undos.push(() => {
        answer = { status: 200, body: listed }
      })
    },
    postgres: {
      admin: onServer,
      changed,
      async own() {
        const name = `fault_${process.pid}_${++count}`
        await onServer(`create role ${name} login password 'only-for-this-test'`)
        await onServer(`create database ${name} owner ${name}`)
        undos.push(async () => {
          await onServer(`drop database if exists ${name} with (force)`)
          await onServer(`drop role if exists ${name}`)
        })
        const url = changed((address) => {
          Object.assign(address, { pathname: `/${name}`, username: name, password: 'only-for-this-test' })
        })
        const { exitCode, told } = await cli(['migrate', 'up'], { DATABASE_URL: url })
        if (exitCode !== 0) throw new Error(told)
        return { url, name }
      },
    },
    redis: {
      url: redis.url,
      command: (...args) => onRedis(...args),
      async set(name, value) {
        const usual: Record<string, string> = { maxmemory: '0', 'maxmemory-policy': 'noeviction', maxclients: '50' }
        // By a connection that is there already: with one client there is no other.
        const client = new Redis(redis.url)
        await client.ping()
        undos.push(async () => {
          await client.config('SET', name, usual[name]!)
          client.disconnect()
        })
        await client.config('SET', name, value)
      },
      async password() {
        const client = new Redis(redis.url)
        await client.config('SET', 'requirepass', 'sesame-for-the-test')
        undos.push(async () => {
          await client.config('SET', 'requirepass', '')
          client.disconnect()
        })
        return 'sesame-for-the-test'
      },
    },
  }

  async function cli(args: readonly string[], env: Record<string, string> = {}) {
    const out: string[] = []
    const terminal = {
      ...{ out: (text: string) => void out.push(text), err: (text: string) => void out.push(text) },
      env: { GATEHOUSE_CONFIG: '', GATEHOUSE_SERVER_PORT: '0', GATEHOUSE_DATA_DIR: join(home, 'none'), ...env },
    }
    return { exitCode: await runCli(args, terminal, '1.2.3'), told: out.join('\n') }
  }

  return {
    bench,
    cli,
    /** What the doctor says of a fault, and how long it took. */
    async look({ args = [], env = {} }: Made): Promise<{ exitCode: number; findings: Shown[]; tookMs: number }> {
      const { exitCode, told } = await cli(['doctor', '--json', ...args], env)
      const { findings, took_ms } = JSON.parse(told) as { findings: Shown[]; took_ms: number }
      return { exitCode, findings, tookMs: took_ms }
    },
    async unmake() {
      for (const undo of undos.splice(0).reverse()) await undo()
    },
    async end() {
      for (const undo of undos.splice(0).reverse()) await undo()
      for (const end of ends.splice(0).reverse()) await end()
    },
  }
}

const completion = {
  ...{ id: 'c', object: 'chat.completion', created: 1, model: 'model-a' },
  choices: [{ index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
}

/** The data folder of a hub that served a call, took a backup and stopped. */
async function makeTemplate(vendorPort: number, ends: (() => unknown)[]): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-faults-hub-'))
  ends.push(() => rmSync(dataDir, { recursive: true, force: true }))
  const hub = await startHub({ dataDir })
  await hub.admin('POST', '/api/prices', { model: 'model-a', input_usd: '1', output_usd: '2' })
  await hub.serve('model-a', { type: 'openai', base_url: `http://127.0.0.1:${vendorPort}/v1` })
  const key = await hub.createKey()
  await fetch(`${hub.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'model-a', messages: [{ role: 'user', content: 'hello' }] }),
  })
  await hub.logs()
  await hub.admin('POST', '/api/backups', { kind: 'full' })
  await hub.stop()
  return dataDir
}

/** Ends its sockets, too: some clients never hang up. */
function close(server: Server): Promise<void> {
  for (const socket of socketsOf.get(server) ?? []) socket.destroy()
  return new Promise((resolve) => void server.close(() => resolve()))
}

const socketsOf = new WeakMap<Server, Set<Socket>>()

function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  socketsOf.set(server, sockets)
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
}
