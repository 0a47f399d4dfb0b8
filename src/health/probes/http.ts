import { z } from 'zod'
import type { HubError } from '../../kernel/errors.ts'
import { isRefusedAddress } from '../../platform/fetch.ts'
import { expectationShape, findFault } from '../expectations.ts'
import { headerMap, webAddress } from '../shapes.ts'
import { defineProbe, failed, ok } from './probe.ts'

export const httpProbe = defineProbe({
  type: 'http',
  describe: { en: 'An HTTP answer is as expected.', zh: 'HTTP 响应符合预期。' },
  parameters: z.strictObject({
    url: webAddress,
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']).default('GET'),
    request_headers: headerMap,
    request_body: z.string().max(65_536).default(''),
    max_redirects: z.int().min(0).max(10).default(3).describe('0 judges the redirect itself.'),
    ...expectationShape,
  }),
  secrets: ['request_headers', 'request_body'],
  target: ({ url }) => new URL(url).hostname,
  async run(parameters, { way, timeoutMs, clock }) {
    const begun = clock.monotonic()
    let url = new URL(parameters.url)
    let headers: Record<string, string> = { 'user-agent': 'gatehouse-check', ...parameters.request_headers }
    let { method, request_body: body } = parameters
    for (let redirects = 0; ; redirects++) {
      const leftMs = Math.max(1, Math.ceil(timeoutMs - (clock.monotonic() - begun)))
      const answer = await way
        .send(url.href, {
          method,
          headers,
          ...(body === '' ? {} : { body }),
          maxBytes: parameters.max_bytes,
          timeoutMs: leftMs,
          isFresh: true,
        })
        .catch((thrown) => {
          if (redirects === 0 || !isRefusedAddress(thrown)) throw thrown
          // The first address was allowed: it is the redirect that leads where nobody asked to go.
          return failed(
            'refused_address',
            `Redirects to ${url.host}, where the hub may not go: ${(thrown as HubError).message}`,
          )
        })
      if ('outcome' in answer) return answer
      const location = answer.headers.location
      const isRedirect = [301, 302, 303, 307, 308].includes(answer.status) && typeof location === 'string'
      if (isRedirect && parameters.max_redirects > 0) {
        if (redirects === parameters.max_redirects) return failed('redirect', `Redirects more than ${redirects} times.`)
        const next = URL.canParse(location, url.href) ? new URL(location, url) : null
        if (next === null || !/^https?:$/.test(next.protocol)) return failed('redirect', 'Redirects to no web address.')
        if (next.origin !== url.origin) headers = { 'user-agent': 'gatehouse-check' }
        if (answer.status === 303 || (answer.status < 303 && method === 'POST')) {
          method = 'GET'
          body = ''
        }
        url = next
        continue
      }
      const fault = findFault(answer, parameters)
      if (fault !== null) return fault
      return ok(`Answers ${answer.status}.`, { status: answer.status, bytes: answer.body.length, redirects })
    }
  },
})
