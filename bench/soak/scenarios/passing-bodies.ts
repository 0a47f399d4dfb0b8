import http from 'node:http'
import { median, residentMb } from '../memory.ts'
import { finding, type Scenario } from './scenario.ts'

const bodyBytes = 5 * 1024 * 1024
const callers = 4

/** Bodies of 5 MB, 1,000 a minute of the run: what has passed through is not kept. */
export const passingBodies: Scenario = {
  name: '4.2.6 bodies of five megabytes pass through and are not kept',
  async run({ hub, apiKey, minutes, say }) {
    const count = Math.round(minutes * 1000)
    const head = '{"model":"soak","messages":[{"role":"user","content":"'
    const body = Buffer.concat([Buffer.from(head), Buffer.alloc(bodyBytes, 'a'), Buffer.from('"}]}')])
    const agent = new http.Agent({ keepAlive: true, maxSockets: callers })
    const samples: number[] = []
    let sent = 0
    let failed = 0
    const keepSending = async () => {
      while (sent < count) {
        sent++
        if (!(await send(hub.url(), agent, apiKey, body))) failed++
        if (sent % 20 === 0) samples.push(residentMb(hub.run().pid))
      }
    }
    await Promise.all(Array.from({ length: callers }, keepSending))
    agent.destroy()
    const third = Math.ceil(samples.length / 3)
    const first = median(samples.slice(0, third))
    const last = median(samples.slice(-third))
    say(`${count} bodies: ${first.toFixed(0)} MB in the first third, ${last.toFixed(0)} MB in the last`)
    return [
      finding('memory of the last third over the first', (last / first - 1) * 100, '%', 10),
      finding('bodies not answered', failed, 'requests', 0),
    ]
  },
}

function send(url: string, agent: http.Agent, apiKey: string, body: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'content-length': body.length,
    }
    const request = http.request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200))
    })
    request.on('error', () => resolve(false))
    request.end(body)
  })
}
