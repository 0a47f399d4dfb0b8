import { Agent, request } from 'node:http'

export type Calls = { sent: number; wrong: number; p50Ms: number; p99Ms: number }

/**
 * Sends calls at a rate, whatever their answers do, for `seconds`. Times are from when a call was to be sent: one that had
 * to wait for the sender or for a connection counts its wait.
 */
export async function sendCalls(
  url: string,
  key: string,
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<Calls> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const body = JSON.stringify({
    model: 'mock',
    messages: [{ role: 'user', content: 'Say something short about the weather of tomorrow, please. '.repeat(12) }],
  })
  const headers = {
    ...{ authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    'content-length': Buffer.byteLength(body),
  }
  const times: number[] = []
  let wrong = 0
  const call = (dueAt: number) =>
    new Promise<void>((resolve) => {
      const failed = () => {
        wrong++
        resolve()
      }
      const sent = request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers }, (response) => {
        response.resume()
        response.on('error', failed)
        response.on('end', () => {
          if (response.statusCode !== 200) wrong++
          times.push(performance.now() - dueAt)
          resolve()
        })
      })
      sent.on('error', failed)
      sent.end(body)
    })
  const startedAt = performance.now()
  const open: Promise<void>[] = []
  for (let number = 0; number < perSecond * seconds; number++) {
    const dueAt = startedAt + (number * 1000) / perSecond
    while (performance.now() < dueAt) await new Promise((resolve) => setTimeout(resolve, 1))
    open.push(call(dueAt))
  }
  await Promise.all(open)
  agent.destroy()
  return { sent: open.length, wrong, p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) }
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
