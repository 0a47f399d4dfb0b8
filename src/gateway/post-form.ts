import type { Dispatcher } from 'undici'
import { fail, HubError } from '../kernel/errors.ts'

const timeoutMs = 15_000
const maxBytes = 65_536

/**
 * Posts a form on the guarded connections, for access tokens. Rejects with a HubError that names the host only: forms
 * hold secrets. Redirects are not followed, for the same reason.
 */
export async function postForm(
  pool: (origin: string) => Dispatcher,
  url: string,
  form: Record<string, string>,
): Promise<{ status: number; body: string }> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw fail('upstream_unreachable', 'The address for access tokens is not an http:// or https:// address.')
  }
  const { origin, pathname, search, host } = new URL(url)
  try {
    const answer = await pool(origin).request({
      origin,
      path: pathname + search,
      method: 'POST',
      headers: ['content-type', 'application/x-www-form-urlencoded', 'accept', 'application/json'],
      body: new URLSearchParams(form).toString(),
      signal: AbortSignal.timeout(timeoutMs),
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    })
    return { status: answer.statusCode, body: await readText(answer.body, host) }
  } catch (thrown) {
    if (thrown instanceof HubError) throw thrown
    const { name, code } = thrown as { name?: string; code?: string }
    if (name === 'TimeoutError' || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') {
      throw fail('upstream_timeout', `${host} gave no access token within ${timeoutMs} ms.`)
    }
    throw fail('upstream_unreachable', `${host} cannot be reached for an access token (${code ?? name}).`)
  }
}

async function readText(body: AsyncIterable<Buffer>, host: string): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw fail('upstream_garbled', `${host} answered more than ${maxBytes} bytes.`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
