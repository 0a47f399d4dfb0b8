import { z } from 'zod'
import { expectationShape, findFault, parseJson, readPath } from '../expectations.ts'
import { defineProbe, type Finding, failed, ok, toFinding } from './probe.ts'

const method = z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
const step = z.strictObject({
  name: z.string().min(1).max(100),
  url: z
    .string()
    .min(1)
    .max(2000)
    .describe('May hold {{names}} of secrets, captures, {{run}} (unique) and {{now}} (epoch ms).'),
  method: method.default('GET'),
  request_headers: z
    .record(z.string().regex(/^[\w-]{1,100}$/), z.string().max(4000))
    .default({})
    .describe('Shown: put secrets into secrets and write {{name}}.'),
  request_body: z.string().max(65_536).default(''),
  capture: z
    .record(z.string().regex(/^[a-z][\w]{0,40}$/), z.string().max(300))
    .default({})
    .describe('Names for later steps, and where the answer has them: $.id or header:location.'),
  tries: z.int().min(1).max(10).default(1).describe('For what becomes true a little later, such as a row in a ledger.'),
  pause_ms: z.int().min(50).max(10_000).default(500).describe('Between tries.'),
  always: z.boolean().default(false).describe('Done even after a step failed: to clean up.'),
  ...expectationShape,
})

/** Steps after one another, each with what the ones before brought: register, call, be billed, read it back. */
export const suiteProbe = defineProbe({
  type: 'suite',
  describe: { en: 'Several steps after one another come to what they should.', zh: '多步骤流程逐步验证。' },
  parameters: z.strictObject({
    steps: z.array(step).min(1).max(20),
    secrets: z
      .record(z.string().regex(/^[a-z][\w]{0,40}$/), z.string().max(4000))
      .default({})
      .describe('Sealed: shown by name only.'),
  }),
  secrets: ['secrets'],
  target: ({ steps }) => hostOf(steps[0]!.url),
  async run({ steps, secrets }, { way, timeoutMs, clock }) {
    const begun = clock.monotonic()
    const names = new Map<string, string>(Object.entries(secrets))
    names.set('run', `run${clock.now().toString(36)}${Math.floor(clock.monotonic()).toString(36)}`)
    names.set('now', String(clock.now()))
    let fault: Finding | null = null
    let done = 0
    for (const each of steps) {
      if (fault !== null && !each.always) continue
      const found = await runStep(each)
      if (found !== null)
        fault ??= {
          ...found,
          reason: found.reason === 'refused_address' ? found.reason : 'step',
          message: `${each.name}: ${found.message}`,
          observed: { ...found.observed, step: each.name, why: found.reason },
        }
      else done++
    }
    return fault ?? ok(`${done} steps are in order.`, { steps: done })

    async function runStep(own: z.infer<typeof step>): Promise<Finding | null> {
      let last: Finding | null = null
      for (let attempt = 1; attempt <= own.tries; attempt++) {
        if (attempt > 1) await clock.sleep(own.pause_ms)
        // What cleans up gets a moment even when the time is used up.
        const leftMs = Math.max(own.always ? 2000 : 0, Math.ceil(timeoutMs - (clock.monotonic() - begun)))
        if (leftMs <= 0) return last ?? failed('timeout', `The time of ${timeoutMs} ms was used up.`)
        last = await tryOnce(own, leftMs)
        if (last === null) return null
      }
      return last
    }

    async function tryOnce(own: z.infer<typeof step>, leftMs: number): Promise<Finding | null> {
      const missing = new Set<string>()
      const fill = (text: string) =>
        text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
          if (!names.has(name)) missing.add(name)
          return names.get(name) ?? ''
        })
      const url = fill(own.url)
      const headers = Object.fromEntries(
        Object.entries(own.request_headers).map(([name, value]) => [name, fill(value).replace(/[\r\n\0]/g, '')]),
      )
      const body = fill(own.request_body)
      if (missing.size > 0) return failed('step', `nothing is named ${[...missing].join(', ')}.`)
      try {
        const answer = await way.send(url, {
          ...{
            method: own.method,
            headers: { 'user-agent': 'gatehouse-check', ...headers },
            timeoutMs: leftMs,
            maxBytes: own.max_bytes,
            isFresh: true,
          },
          ...(body === '' ? {} : { body }),
        })
        const found = findFault(answer, own)
        if (found !== null) return found
        for (const [name, from] of Object.entries(own.capture)) {
          const value = from.startsWith('header:')
            ? answer.headers[from.slice(7).toLowerCase()]
            : readPath(parseJson(answer.body.toString('utf8')), from)
          if (value === undefined || value === null) return failed('json', `the answer has no ${from} to capture.`)
          names.set(name, typeof value === 'string' ? value : JSON.stringify(value))
        }
        return null
      } catch (thrown) {
        return toFinding(thrown)
      }
    }
  },
})

function hostOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).hostname : null
}
