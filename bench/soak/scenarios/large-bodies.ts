import http from 'node:http'
import { percentile } from '../memory.ts'
import { finding, type Ground, type Scenario } from './scenario.ts'

const smallEachSecond = 100
const largeEachSecond = 15
const windowSeconds = 10
const pairs = 4

/** Windows with and without a megabyte of base64 fifteen times a second take turns, so that drift falls on both. */
export const largeBodies: Scenario = {
  name: '4.13.52 images of a megabyte do not hold up small requests',
  async run(ground) {
    const agent = new http.Agent({ keepAlive: true })
    const small = bodyOf('Hello')
    const large = bodyOf([
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${'iVBORw0KGgo'.repeat(95_325)}` } },
    ])
    await window(ground, agent, small, null)
    const p99s: { alone: number; beside: number }[] = []
    for (let pair = 0; pair < pairs; pair++) {
      const alone = percentile(await window(ground, agent, small, null), 0.99)
      const beside = percentile(await window(ground, agent, small, large), 0.99)
      p99s.push({ alone, beside })
      ground.say(`p99 of small requests: ${alone.toFixed(2)} ms alone, ${beside.toFixed(2)} ms beside large ones`)
    }
    agent.destroy()
    const moved = p99s.map(({ alone, beside }) => beside - alone).sort((a, b) => a - b)
    return [
      finding('p99 of small requests moved by (median of the pairs)', moved[Math.floor(moved.length / 2)]!, 'ms', 5),
    ]
  },
}

function bodyOf(content: unknown): Buffer {
  return Buffer.from(JSON.stringify({ model: 'soak', messages: [{ role: 'user', content }] }))
}

/** Open loop: requests leave at their times whether or not others have come back. Latencies of the small ones, ms. */
async function window(ground: Ground, agent: http.Agent, small: Buffer, large: Buffer | null): Promise<number[]> {
  const latencies: number[] = []
  const under: Promise<void>[] = []
  const every = (perSecond: number, send: () => Promise<void>) => {
    const startedAt = performance.now()
    let sent = 0
    return setInterval(() => {
      const due = ((performance.now() - startedAt) / 1000) * perSecond
      while (sent < due) {
        sent++
        under.push(send())
      }
    }, 2)
  }
  const timers = [
    every(smallEachSecond, async () => {
      latencies.push(await ask(ground, agent, small))
    }),
  ]
  if (large) timers.push(every(largeEachSecond, async () => void (await ask(ground, agent, large))))
  await new Promise((resolve) => setTimeout(resolve, windowSeconds * 1000))
  for (const timer of timers) clearInterval(timer)
  await Promise.all(under)
  return latencies
}

function ask({ hub, apiKey }: Ground, agent: http.Agent, body: Buffer): Promise<number> {
  const startedAt = performance.now()
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'content-length': body.length,
    }
    const request = http.request(`${hub.url()}/v1/chat/completions`, { method: 'POST', agent, headers }, (response) => {
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
