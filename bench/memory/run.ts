/**
 * `npm run bench -- memory`: what a hub holds at rest, process by process: one process for all, a node of two workers, a
 * process with the role of a gateway alone; and what a thousand streams hold that say nothing.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeMachine, processTree } from '../gateway/machine.ts'
import { answers, freePort, start } from '../gateway/processes.ts'
import { adminKey, configure } from '../gateway/subjects/gatehouse.ts'

const folder = fileURLToPath(new URL('.', import.meta.url))
const repository = fileURLToPath(new URL('../..', import.meta.url))
const workFolder = `${folder}.work`
const { values } = parseArgs({ options: { rest: { type: 'string', default: '40' } } })
/** After its start, in which a heap is bigger than ever again. */
const restSeconds = Number(values.rest)
const streams = 1000

type Held = { process: string; residentMb: number; proportionalMb: number; ownMb: number; threads: number }
type Goal = { name: string; atMost: number; measured: number; isMet: boolean }

const shapes = [
  { name: 'one process', args: [] },
  { name: 'two workers', args: ['--workers', '2'] },
  { name: 'a gateway alone', args: ['--roles', 'gateway'] },
] as const

/** Resident; the same with what is shared divided by those who share it; and what is nobody else's. */
function readHeld(pid: number, untitled: string): Held {
  const rollUp = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const mb = (name: string) => Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollUp)?.[1] ?? 0) / 1024)
  const title = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]!
  return {
    process: title.startsWith('gatehouse ') ? title.slice('gatehouse '.length) : untitled,
    ...{ residentMb: mb('Rss'), proportionalMb: mb('Pss'), ownMb: mb('Anonymous') },
    threads: readdirSync(`/proc/${pid}/task`).length,
  }
}

async function startHub(args: readonly string[]) {
  const port = await freePort()
  rmSync(`${workFolder}/data`, { recursive: true, force: true })
  const logFile = `${workFolder}/hub.log`
  const started = await start('gatehouse', {
    command: [
      process.execPath,
      'bin/gatehouse',
      'serve',
      '--port',
      String(port),
      '--data',
      `${workFolder}/data`,
      ...args,
    ],
    ...{ core: '0,1', cwd: repository, env: { NODE_ENV: 'production', ADMIN_KEY: adminKey }, logFile },
    // Nothing here depends on time: a busy machine may take it.
    withinMs: 180_000,
    isReady: async () =>
      (await answers(`http://127.0.0.1:${port}/readyz`)) && readFileSync(logFile, 'utf8').includes('Listening on'),
  })
  return { ...started, port }
}

const rest = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))

/** A provider that begins every stream and then says nothing. */
async function startSilent() {
  const open = new Set<ServerResponse>()
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(
        'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n',
      )
      open.add(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    for (const response of open) response.destroy()
    server.closeAllConnections()
    server.close()
  }
  return { port: (server.address() as AddressInfo).port, close }
}

async function openStreams(port: number, key: string): Promise<Socket[]> {
  const body = JSON.stringify({ model: 'mock', stream: true, messages: [{ role: 'user', content: 'x'.repeat(900) }] })
  const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json`
  const text = `${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  const sockets: Socket[] = []
  while (sockets.length < streams) {
    const batch = Array.from({ length: 50 }, async () => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      sockets.push(socket)
      socket.write(text)
      await new Promise<void>((resolve, reject) => {
        socket.once('close', () => reject(new Error('a stream was refused')))
        socket.on('data', (piece) => {
          if (String(piece).includes('"content":"a"')) resolve()
        })
      })
    })
    await Promise.all(batch)
  }
  return sockets
}

async function measureStreams(): Promise<{ beforeMb: number; withStreamsMb: number; perThousandMb: number }> {
  const provider = await startSilent()
  const hub = await startHub([])
  const key = await configure(`http://127.0.0.1:${hub.port}`, provider.port)
  const own = () => readHeld(hub.pid, 'hub').ownMb
  // Once over, so that compiled code and pools are not taken for the streams'.
  for (const socket of await openStreams(hub.port, key)) socket.destroy()
  await rest(restSeconds)
  const beforeMb = own()
  const sockets = await openStreams(hub.port, key)
  await rest(restSeconds)
  const withStreamsMb = own()
  for (const socket of sockets) socket.destroy()
  provider.close()
  await hub.stop()
  return { beforeMb, withStreamsMb, perThousandMb: withStreamsMb - beforeMb }
}

async function main(): Promise<void> {
  mkdirSync(workFolder, { recursive: true })
  const startedAt = new Date().toISOString()
  const nodes = []
  for (const { name, args } of shapes) {
    const hub = await startHub(args)
    await rest(restSeconds)
    const processes = processTree(hub.pid).map((pid) => readHeld(pid, name === 'two workers' ? 'supervisor' : 'hub'))
    await hub.stop()
    const sum = (pick: (held: Held) => number) => processes.reduce((total, held) => total + pick(held), 0)
    const whole = { residentMb: sum((held) => held.residentMb), proportionalMb: sum((held) => held.proportionalMb) }
    nodes.push({ name, ...whole, processes })
    console.log(`${name}: ${whole.residentMb} MB resident, ${whole.proportionalMb} with what is shared counted once`)
    console.table(processes)
  }
  const idleStreams = await measureStreams()
  console.log(`1,000 streams that say nothing: ${idleStreams.perThousandMb} MB`)
  const two = nodes.find(({ name }) => name === 'two workers')!
  const worst = (prefix: string) =>
    Math.max(...two.processes.filter((held) => held.process.startsWith(prefix)).map((held) => held.residentMb))
  const goal = (name: string, atMost: number, measured: number): Goal => ({
    name,
    atMost,
    measured,
    isMet: measured <= atMost,
  })
  const goals = [
    goal('a worker, resident MB', 110, worst('worker')),
    goal('a supervisor, resident MB', 60, worst('supervisor')),
    goal('a node of two workers, MB with what is shared counted once', 600, two.proportionalMb),
    goal('1,000 idle streams, MB', 25, idleStreams.perThousandMb),
  ]
  for (const { name, atMost, measured, isMet } of goals)
    console.log(`${isMet ? 'met   ' : 'missed'}  ${name}: ${measured}, at most ${atMost}`)
  const results = { startedAt, machine: describeMachine(), restSeconds, nodes, idleStreams, goals }
  mkdirSync(`${folder}results`, { recursive: true })
  writeFileSync(`${folder}results/latest.json`, `${JSON.stringify(results, null, 2)}\n`)
  console.log('Written to bench/memory/results/latest.json')
}

await main()
