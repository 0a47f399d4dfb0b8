/**
 * Ten thousand alerts in a second, each told on its own, over channels to targets that take their time: how long until all
 * are told, what each target heard twice, and how long a sound channel waits beside one that never answers.
 * `npm run bench -- alerts [--alerts 10000] [--out]`
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openAlerting } from '../../src/alerts/testing-alerting.ts'
import { systemClock } from '../../src/kernel/clock.ts'

const { values } = parseArgs({
  options: {
    alerts: { type: 'string', default: '10000' },
    channels: { type: 'string', default: '10' },
    out: { type: 'boolean' },
  },
})
const count = Number(values.alerts)
const lines: string[] = []
const say = (line: string) => {
  lines.push(line)
  console.log(line)
}

/** A target that answers after `answerMs`; null for never. */
async function openTarget(answerMs: number | null) {
  const heard: { name: string; at: number }[] = []
  const server = createServer((request, response) => {
    let raw = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      raw += text
    })
    request.on('end', () => {
      for (const { labels } of JSON.parse(raw).alerts) heard.push({ name: labels.i, at: performance.now() })
      if (answerMs === 0) response.end('ok')
      else if (answerMs !== null) setTimeout(() => response.end('ok'), answerMs)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => void server.close().closeAllConnections()
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, heard, close }
}

async function drain(title: string, own: { answerMs: number; many: number; settings?: object; parameters?: object }) {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-drain-'))
  const channels = Number(values.channels)
  const targets = await Promise.all(Array.from({ length: channels }, () => openTarget(own.answerMs)))
  const stalled = await openTarget(null)
  const alerting = await openAlerting({
    url: `sqlite:${join(folder, 'hub.db')}`,
    isMigrated: false,
    receivers: Object.fromEntries([
      ...targets.map(({ url }, index) => [`r${index}`, [{ url, ...own.parameters }]] as const),
      ['stalled', [{ url: stalled.url, ...own.parameters }]],
    ]),
    settings: { storm_max_notifications: 0, max_active: 100_000, ...own.settings },
  })
  const begun = performance.now()
  const post = (from: number, to: number) =>
    alerting.pipeline.post(
      Array.from({ length: to - from }, (_, k) => ({
        labels: {
          alertname: 'Storm',
          i: String(from + k),
          to: (from + k) % 100 === 0 ? 'stalled' : `r${(from + k) % channels}`,
        },
        ...{ annotations: {}, startsAt: Date.now(), endsAt: null, expiresAt: null, generatorUrl: '', tenantId: '' },
      })),
    )
  for (let at = 0; at < own.many; at += 1000) await post(at, Math.min(own.many, at + 1000))
  const posted = performance.now() - begun
  const wanted = own.many - Math.ceil(own.many / 100)
  const heard = () => targets.reduce((sum, each) => sum + each.heard.length, 0)
  while (heard() < wanted && performance.now() - begun < 280_000) {
    await alerting.pipeline.tick()
    await systemClock.sleep(100)
  }
  const seconds = (performance.now() - begun) / 1000
  const names = targets.flatMap((each) => each.heard.map(({ name }) => name))
  const waits = targets.map((each) => each.heard[0]?.at ?? Number.NaN).map((at) => at - begun)
  say(
    `${title}: ${names.length} of ${wanted} told in ${seconds.toFixed(1)} s (${(names.length / seconds).toFixed(0)} a second), ` +
      `${names.length - new Set(names).size} twice; posted in ${(posted / 1000).toFixed(2)} s; ` +
      `first message of the slowest channel after ${(Math.max(...waits) / 1000).toFixed(1)} s`,
  )
  await alerting.close()
  for (const each of [...targets, stalled]) each.close()
  rmSync(folder, { recursive: true, force: true })
}

say(`${count} alerts in one go, each a message of its own, ${values.channels} channels beside one that never answers`)
await drain('targets that answer at once', { answerMs: 0, many: count })
await drain('targets that answer after 50 ms', { answerMs: 50, many: count / 10 })
await drain('the same, thirty-two in doubt at most', {
  ...{ answerMs: 50, many: count / 10, settings: { max_in_doubt: 32 } },
})
await drain('the same, with receivers who know repeats', {
  ...{ answerMs: 50, many: count / 10, parameters: { knows_repeats: true } },
})
await drain('as shipped: twenty messages a minute and receiver, then a digest', {
  ...{ answerMs: 50, many: count, settings: { storm_max_notifications: 20 } },
})
if (values.out) {
  writeFileSync(fileURLToPath(new URL('./results/latest.txt', import.meta.url)), `${lines.join('\n')}\n`)
}
process.exit()
