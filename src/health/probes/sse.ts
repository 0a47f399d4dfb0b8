import { z } from 'zod'
import { fail, HubError } from '../../kernel/errors.ts'
import { compileSearch } from '../../kernel/regex.ts'
import { createSseReader } from '../../kernel/sse.ts'
import { headerMap, webAddress } from '../shapes.ts'
import { defineProbe, failed, ok } from './probe.ts'

export const sseProbe = defineProbe({
  type: 'sse',
  describe: { en: 'A stream of events begins in time.', zh: '事件流在限定时间内产生首个事件。' },
  parameters: z.strictObject({
    url: webAddress,
    method: z.enum(['GET', 'POST']).default('GET'),
    request_headers: headerMap,
    request_body: z.string().max(65_536).default(''),
    event: z.string().max(200).default('').describe('Name of the event to wait for; any unless said.'),
    data: z.string().max(500).default('').describe('A pattern (RE2) that its data must hold.'),
    max_bytes: z.int().min(1).max(1_048_576).default(65_536),
  }),
  secrets: ['request_headers', 'request_body'],
  target: ({ url }) => new URL(url).hostname,
  async run(parameters, { way, timeoutMs, clock }) {
    const begun = clock.monotonic()
    const { origin, pathname, search, host } = new URL(parameters.url)
    const ending = new AbortController()
    const late = AbortSignal.timeout(timeoutMs)
    const isAwaited = compileSearch(parameters.data)
    try {
      const answer = await way.pool(origin).request({
        ...{ origin, path: pathname + search, method: parameters.method, reset: true },
        headers: {
          accept: 'text/event-stream',
          'accept-encoding': 'identity',
          'user-agent': 'gatehouse-check',
          ...parameters.request_headers,
        },
        ...(parameters.request_body === '' ? {} : { body: parameters.request_body }),
        ...{ signal: AbortSignal.any([late, ending.signal]), headersTimeout: timeoutMs, bodyTimeout: timeoutMs },
      })
      answer.body.on('error', () => {})
      if (answer.statusCode !== 200)
        return failed('status', `Answers ${answer.statusCode}, expected 200.`, { status: answer.statusCode })
      const type = String(answer.headers['content-type'] ?? '')
      if (!type.startsWith('text/event-stream'))
        return failed('header', `Answers with ${type || 'no content type'}, not with events.`)
      const reader = createSseReader({ maxEventBytes: parameters.max_bytes })
      let seen = 0
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        seen += chunk.length
        for (const { event: name, data } of reader.push(chunk)) {
          if ((parameters.event === '' || name === parameters.event) && isAwaited(data)) {
            const firstEventMs = Math.round(clock.monotonic() - begun)
            return {
              ...ok(`The first event came after ${firstEventMs} ms.`, { firstEventMs }),
              latencyMs: firstEventMs,
            }
          }
        }
        if (seen > parameters.max_bytes)
          return failed('too_large', `More than ${parameters.max_bytes} bytes came, and not what is awaited.`)
      }
      return failed('answer', 'The stream ended before what is awaited came.')
    } catch (thrown) {
      if (late.aborted || /TIMEOUT/i.test(String((thrown as { code?: string }).code))) {
        return failed('timeout', `No event within ${timeoutMs} ms.`)
      }
      const { code, name } = thrown as { code?: string; name?: string }
      if (thrown instanceof HubError) throw thrown
      throw fail('upstream_unreachable', `${host} cannot be reached (${code ?? name}).`, { cause: thrown })
    } finally {
      ending.abort()
    }
  },
})
