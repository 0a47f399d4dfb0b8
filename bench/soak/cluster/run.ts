/**
 * `npm run soak -- cluster [--minutes N]`: four nodes in network namespaces on a real PostgreSQL and Redis, under mixed load,
 * while nodes are killed, parted from what they use, upgraded from the commit before this one and wrong about the time, and
 * PostgreSQL and Redis go away and come back. Ends with 1 when a promise was broken. bench/README.md tells the rest.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createDice } from '../../../src/kernel/dice.ts'
import { createControl } from '../../../test/harness/control.ts'
import { startLoad } from '../../../test/harness/load.ts'
import { processAdminKey } from '../../../test/harness/process-hub.ts'
import { type Service, startPostgres, startRedis } from '../../../test/harness/services.ts'
import { describeMachine } from '../../gateway/machine.ts'
import { residentMb } from '../memory.ts'
import { startUpstream } from '../upstream.ts'
import { openNetwork, providerIp, servicesIp } from './network.ts'
import { createNode, type Node, unpackPrevious } from './nodes.ts'
import { type Fault, judge, type LimitedCall, type Lost, type SeenAlert, skewsSeconds } from './verdict.ts'
import { watchAlerts } from './watch-alerts.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const results = fileURLToPath(new URL('../results', import.meta.url))
const limitPerMinute = 120

type Ground = { nodes: Node[]; postgres: Service; redis: Service }
/** What is done to the cluster; whoever it concerns is named, and what a caller may notice of it. */
type Deed = { kind: Fault['kind']; node: number | null; run(ground: Ground): Promise<void> }

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** In this order, over and over. Node 1 is never ended: its memory is watched. */
const deeds: readonly Deed[] = [
  { kind: 'kill', node: 2, run: ({ nodes }) => restart(nodes[1]!, 'SIGKILL') },
  { kind: 'parted', node: 1, run: ({ nodes }) => during((is) => nodes[0]!.place.partStores(is), 15_000) },
  { kind: 'upgrade', node: 3, run: ({ nodes }) => restart(nodes[2]!, 'SIGTERM') },
  { kind: 'redis', node: null, run: ({ redis }) => away(redis, 10_000) },
  { kind: 'kill', node: 4, run: ({ nodes }) => restart(nodes[3]!, 'SIGKILL', true) },
  { kind: 'postgres', node: null, run: ({ postgres }) => away(postgres, 15_000) },
  { kind: 'upgrade', node: 4, run: ({ nodes }) => restart(nodes[3]!, 'SIGTERM') },
  { kind: 'cut', node: 2, run: ({ nodes }) => during((is) => nodes[1]!.place.cutOff(is), 10_000) },
]

async function restart(node: Node, signal: 'SIGKILL' | 'SIGTERM', isOld = false): Promise<void> {
  await node.end(signal)
  await node.start(isOld)
}

async function during(set: (is: boolean) => void, ms: number): Promise<void> {
  set(true)
  await wait(ms)
  set(false)
}

async function away(service: Service, ms: number): Promise<void> {
  await service.stop()
  await wait(ms)
  await service.start()
}

export async function run(argv: string[]): Promise<boolean> {
  const { values } = parseArgs({ args: argv, options: { minutes: { type: 'string', default: '60' } } })
  const minutes = Number(values.minutes)
  if (!(minutes > 0)) throw new Error('--minutes wants a number above 0')
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-cluster-'))
  chmodSync(folder, 0o755)
  const network = openNetwork(4)
  const closers: (() => Promise<unknown> | unknown)[] = [() => rmSync(folder, { recursive: true }), network.close]
  const keep = <T>(part: T, close: (part: T) => unknown): T => {
    closers.push(() => close(part))
    return part
  }
  try {
    const hba = join(folder, 'pg_hba.conf')
    writeFileSync(hba, 'host all all 0.0.0.0/0 scram-sha-256\n')
    const listen = [`listen_addresses=127.0.0.1,${servicesIp}`, `hba_file=${hba}`]
    const postgres = keep(await startPostgres(listen), (each) => each.destroy())
    const redis = keep(await startRedis(['--bind', `127.0.0.1 ${servicesIp}`, '--protected-mode', 'no']), (each) =>
      each.destroy(),
    )
    const upstream = keep(await startUpstream('0.0.0.0'), (each) => each.stop())
    const previous = unpackPrevious(repository, folder)
    const env = {
      ADMIN_KEY: processAdminKey,
      GATEHOUSE_SECRET_KEY: randomBytes(32).toString('base64'),
      DATABASE_URL: postgres.url.replace('127.0.0.1', servicesIp),
      REDIS_URL: redis.url.replace('127.0.0.1', servicesIp),
      GATEHOUSE_NETWORK_ALLOW_PRIVATE: '10.0.0.0/8',
      GATEHOUSE_LOG_ACCESS: 'false',
    }
    const nodes = network.places.map((place, i) =>
      createNode(i + 1, place, { folder, env, skewSeconds: skewsSeconds[i]!, oldTree: previous.tree }),
    )
    for (const node of nodes) closers.push(() => node.end('SIGKILL'))
    say(`starting four nodes; nodes 3 and 4 from ${previous.commit}, the clocks of nodes 2 and 4 wrong by 90 s`)
    await nodes[0]!.start(false)
    await Promise.all([nodes[1]!.start(false), nodes[2]!.start(true), nodes[3]!.start(true)])
    const outcome = await soak({ nodes, postgres, redis }, { minutes, upstreamPort: new URL(upstream.url).port })
    const findings = await judge({ ...outcome, nodes, databaseUrl: postgres.url, minutes, limitPerMinute })
    for (const { what, measured, unit, atMost, isGood } of findings) {
      say(
        `${atMost === null ? '·' : isGood ? '✓' : '✗'} ${what}: ${measured} ${unit}${atMost === null ? '' : ` (at most ${atMost})`}`,
      )
    }
    const { faults, calls, alerts, unexcused, memory } = outcome
    mkdirSync(results, { recursive: true })
    const told = {
      faults,
      calls,
      alerts,
      unexcused: unexcused(),
      memoryMb: memory.map(({ mb }) => Math.round(mb)).join(' '),
    }
    const written = {
      startedAt: outcome.startedAt,
      machine: describeMachine(),
      minutes,
      previous: previous.commit,
      findings,
      ...told,
    }
    writeFileSync(`${results}/cluster.json`, `${JSON.stringify(written, null, 2)}\n`)
    say('Written to bench/soak/results/cluster.json')
    return findings.every(({ isGood }) => isGood)
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

async function soak(ground: Ground, { minutes, upstreamPort }: { minutes: number; upstreamPort: string }) {
  const { nodes } = ground
  const startedAt = new Date().toISOString()
  const began = performance.now()
  const seconds = (at = performance.now()) => Math.round((at - began) / 100) / 10
  const { admin, createKey } = createControl(() => nodes[0]!.url, processAdminKey)
  const base_url = `http://${providerIp}:${upstreamPort}/v1`
  await admin('POST', '/api/providers', { name: 'upstream', type: 'openai-compatible', base_url, max_retries: 0 })
  await admin('POST', '/api/models', { name: 'soak' })
  await admin('POST', '/api/model-providers', { model_id: 'soak', provider_id: 'upstream', provider_model: 'soak' })
  const { key: apiKey } = await createKey()
  const { key: limitedKey } = await createKey({ rate_limit: limitPerMinute })
  await wait(2000)

  const loads = nodes.map((node, i) => ({
    node,
    load: startLoad({
      ...{ url: () => node.url, apiKey, model: 'soak', callers: 3, pauseMs: 300 },
      random: createDice(i + 1),
    }),
  }))
  const limited: LimitedCall[] = []
  const memory: { seconds: number; mb: number }[] = []
  const faults: Fault[] = []
  let isOver = false
  const alerts: SeenAlert[] = []
  const stopWatching = watchAlerts(nodes, processAdminKey, (alert) => alerts.push({ ...alert, at: seconds() }))
  const watching = setInterval(() => memory.push({ seconds: seconds(), mb: residentMb(nodes[0]!.run().pid) }), 5000)
  const limiting = Promise.all(
    nodes.map(async (node) => {
      while (!isOver) {
        const at = seconds()
        const status = await askOnce(node.url, limitedKey)
        limited.push({ at, status })
        await wait(500)
      }
    }),
  )
  const endsAt = began + minutes * 60_000
  // Nothing is done at first: whatever is told then is false.
  await wait(Math.min(180_000, minutes * 6000))
  for (let turn = 0; ; turn++) {
    // A round of all deeds in eight minutes at most; an hour sees many, and what is told of one is over before the next of its kind.
    await wait(Math.min(40_000, (minutes * 60_000) / (deeds.length * 2)))
    if (performance.now() > endsAt && turn >= deeds.length) break
    const deed = deeds[turn % deeds.length]!
    const fault: Fault = { kind: deed.kind, node: deed.node, from: seconds(), to: Number.POSITIVE_INFINITY }
    faults.push(fault)
    await deed.run(ground)
    fault.to = seconds()
    say(`${fault.to.toFixed(0)} s: ${deed.kind}${deed.node === null ? '' : ` of node ${deed.node}`} is over`)
  }
  await wait(10_000)
  isOver = true
  clearInterval(watching)
  await Promise.all([limiting, ...loads.map(({ load }) => load.stop())])
  await stopWatching()
  for (const node of nodes) await node.end('SIGTERM')

  const failures: Lost[] = loads.flatMap(({ node, load }) =>
    load.failed.map(({ at, status, reason }) => ({ node: nodes.indexOf(node) + 1, at: seconds(at), status, reason })),
  )
  const answered = loads.flatMap(({ load }) => load.answered)
  const calls = {
    answered: answered.length,
    streams: answered.filter(({ stream }) => stream).length,
    failed: failures.length,
  }
  return {
    ...{ startedAt, faults, failures, answered, calls, limited, memory, alerts },
    unexcused: () => failures.filter((failure) => !faults.some((fault) => excuses(fault, failure))).slice(0, 20),
  }
}

/** What callers may notice of what was done: nothing but that a node is not there. */
function excuses({ kind, node, from, to }: Fault, failure: Lost): boolean {
  // A call that the end of a node cut is heard of a moment later.
  if (failure.node !== node || failure.at < from || failure.at > to + 5) return false
  if (kind === 'kill' || kind === 'cut') return true
  // Whoever is not let in goes to another node; what was begun must end.
  return (
    kind === 'upgrade' &&
    (/ECONNREFUSED|ECONNRESET|other side closed/.test(failure.reason) || /shutting_down/.test(failure.reason))
  )
}

async function askOnce(url: string, key: string): Promise<number> {
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'soak', messages: [{ role: 'user', content: 'hello' }] }),
      signal: AbortSignal.timeout(20_000),
    })
    await response.arrayBuffer()
    return response.status
  } catch {
    return 0
  }
}

function say(line: string): void {
  console.log(`  ${line}`)
}
