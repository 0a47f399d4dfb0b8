import http from 'node:http'
import { percentile } from '../memory.ts'
import { startPlainProxy } from '../plain-proxy.ts'
import { type Sender, startSender } from '../sender.ts'
import { finding, type Scenario } from './scenario.ts'

const smallEachSecond = 100
const largeEachSecond = 15
const windowSeconds = 10
const pairs = 4

type Target = { name: string; url: string; apiKey: string }
type Pair = { alone: number; beside: number }

/**
 * Windows with and without a megabyte of base64 fifteen times a second take turns, so that drift falls on both. Large
 * bodies come from a process of their own: written by the one that measures, they would hold up its clock. The same
 * goes through a plain proxy in the same minutes, which tells what of it is the machine's.
 */
export const largeBodies: Scenario = {
  name: '4.13.52 images of a megabyte do not hold up small requests',
  async run({ hub, upstream, apiKey, say }) {
    const agent = new http.Agent({ keepAlive: true })
    const small = bodyOf('Hello')
    const large = bodyOf([
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${'iVBORw0KGgo'.repeat(95_325)}` } },
    ])
    const sender = await startSender(large)
    const proxy = await startPlainProxy(new URL(upstream.url).port)
    const targets: Target[] = [
      { name: 'the hub', url: hub.url(), apiKey },
      { name: 'a plain proxy', url: proxy.url, apiKey },
    ]
    const moved = new Map<Target, Pair[]>(targets.map((target) => [target, []]))
    try {
      for (const target of targets) await window(target, agent, small, null)
      for (let pair = 0; pair < pairs; pair++) {
        for (const target of targets) {
          const alone = percentile(await window(target, agent, small, null), 0.99)
          const beside = percentile(await window(target, agent, small, sender), 0.99)
          moved.get(target)!.push({ alone, beside })
          say(`p99 through ${target.name}: ${alone.toFixed(2)} ms alone, ${beside.toFixed(2)} ms beside large ones`)
        }
      }
    } finally {
      agent.destroy()
      sender.stop()
      proxy.stop()
    }
    const [ofHub, ofProxy] = targets.map((target) => medianMove(moved.get(target)!))
    return [
      finding('p99 of small requests moved by (median of the pairs)', ofHub!, 'ms', 5),
      finding('the same through a plain proxy', ofProxy!, 'ms', null),
    ]
  },
}

function medianMove(of: readonly Pair[]): number {
  const moved = of.map(({ alone, beside }) => beside - alone).sort((a, b) => a - b)
  return moved[Math.floor(moved.length / 2)]!
}

function bodyOf(content: unknown): Buffer {
  return Buffer.from(JSON.stringify({ model: 'soak', messages: [{ role: 'user', content }] }))
}

/** Open loop: requests leave at their times whether or not others have come back. Latencies of the small ones, ms. */
async function window(target: Target, agent: http.Agent, small: Buffer, large: Sender | null): Promise<number[]> {
  const latencies: number[] = []
  const under: Promise<void>[] = []
  const startedAt = performance.now()
  const sending = large?.send({ ...target, perSecond: largeEachSecond, seconds: windowSeconds })
  let sent = 0
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1000) * smallEachSecond
    while (sent < due) {
      sent++
      under.push(ask(target, agent, small).then((ms) => void latencies.push(ms)))
    }
  }, 2)
  await new Promise((resolve) => setTimeout(resolve, windowSeconds * 1000))
  clearInterval(timer)
  await Promise.all([...under, sending])
  return latencies
}

/** Milliseconds until the whole answer was there. Rejects unless it was a success. */
function ask({ url, apiKey }: Target, agent: http.Agent, body: Buffer): Promise<number> {
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'content-length': body.length,
    }
    const request = http.request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers }, (response) => {
      response.resume()
      response.on('end', () =>
        response.statusCode === 200
          ? resolve(performance.now() - startedAt)
          : reject(new Error(`a request was answered ${response.statusCode}`)),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}
