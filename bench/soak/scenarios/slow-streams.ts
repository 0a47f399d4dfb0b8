import http from 'node:http'
import { median, residentMb } from '../memory.ts'
import { finding, type Scenario } from './scenario.ts'

const streams = 500
const warmUpSeconds = 60

/** 500 streams of 20 tokens a second, each ending and beginning anew after 10 to 40 seconds. */
export const slowStreams: Scenario = {
  name: '4.2.5 500 slow streams grow no memory and lose no row',
  async run({ hub, upstream, apiKey, minutes, say }) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: streams })
    const endsAt = performance.now() + minutes * 60_000
    let ended = 0
    const broken: string[] = []
    const before = await upstream.count()
    const keepStreaming = async (number: number) => {
      for (let turn = 0; performance.now() < endsAt; turn++) {
        const tokens = 200 + ((number * 7919 + turn * 104_729) % 600)
        const text = await readStream(hub.url(), agent, apiKey, tokens)
        if (text.endsWith('data: [DONE]\n\n')) ended++
        else broken.push(text.slice(-300))
      }
    }
    const all = Promise.all(Array.from({ length: streams }, (_, number) => keepStreaming(number)))
    const samples: { atSeconds: number; mb: number }[] = []
    const startedAt = performance.now()
    const timer = setInterval(() => {
      const atSeconds = (performance.now() - startedAt) / 1000
      samples.push({ atSeconds, mb: residentMb(hub.run().pid) })
      if (samples.length % 12 === 0)
        say(`${atSeconds.toFixed(0)} s: ${samples.at(-1)!.mb.toFixed(0)} MB, ${ended} ended`)
    }, 5000)
    await all
    clearInterval(timer)
    agent.destroy()
    await hub.settled()

    const warm = samples.filter(({ atSeconds }) => atSeconds >= Math.min(warmUpSeconds, minutes * 20))
    const third = Math.ceil(warm.length / 3)
    const first = median(warm.slice(0, third).map(({ mb }) => mb))
    const last = median(warm.slice(-third).map(({ mb }) => mb))
    const after = await upstream.count()
    const { rows, whole } = await countRows(hub)
    say(`memory: ${first.toFixed(0)} MB in the first third after warm-up, ${last.toFixed(0)} MB in the last`)
    return [
      finding('memory of the last third over the first', (last / first - 1) * 100, '%', 10),
      finding('streams that did not end in [DONE]', broken.length, 'streams', 0),
      finding('streams ended, without a row of success', Math.abs(ended - whole), 'rows', 0),
      finding('calls the provider saw, without a row', Math.abs(after.asked - before.asked - rows), 'rows', 0),
    ]
  },
}

function readStream(url: string, agent: http.Agent, apiKey: string, tokens: number): Promise<string> {
  const body = JSON.stringify({
    model: 'soak',
    stream: true,
    max_tokens: tokens,
    messages: [{ role: 'user', content: 'Speak slowly.' }],
  })
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
    const request = http.request(`${url}/v1/chat/completions`, { method: 'POST', agent, headers }, (response) => {
      let tail = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        tail = (tail + piece).slice(-400)
      })
      response.on('end', () => resolve(tail))
      response.on('error', (error) => resolve(String(error)))
    })
    request.on('error', (error) => resolve(String(error)))
    request.end(body)
  })
}

async function countRows(hub: {
  admin(method: string, path: string): Promise<{ data: { outcome: string }[]; next_cursor: string | null }>
}) {
  let rows = 0
  let whole = 0
  let cursor: string | null = null
  do {
    const page = await hub.admin(
      'GET',
      `/api/logs?limit=200${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    rows += page.data.length
    whole += page.data.filter(({ outcome }) => outcome === 'success').length
    cursor = page.next_cursor
  } while (cursor !== null)
  return { rows, whole }
}
