import { connect as connectTls } from 'node:tls'
import { Agent, request } from 'undici'

export type WebAnswer =
  | {
      answered: true
      status: number
      headers: Record<string, string | string[] | undefined>
      text: string
      tookMs: number
    }
  | { answered: false; code: string; message: string }

export type AskOptions = { method?: 'GET' | 'OPTIONS'; headers?: Record<string, string>; timeoutMs: number }

/** One request as any client on this machine would make it, through no proxy; at most 64 KiB of the answer are read. */
export async function askWeb(url: string, { method = 'GET', headers = {}, timeoutMs }: AskOptions): Promise<WebAnswer> {
  const agent = createAgent(timeoutMs)
  const begun = performance.now()
  try {
    const answer = await request(url, { method, headers, dispatcher: agent, signal: AbortSignal.timeout(timeoutMs) })
    let text = ''
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      text += chunk.toString('utf8')
      if (text.length > 65_536) break
    }
    const { statusCode: status, headers: told } = answer
    return { answered: true, status, headers: told, text, tookMs: Math.round(performance.now() - begun) }
  } catch (error) {
    return { answered: false, ...storyOf(error) }
  } finally {
    void agent.destroy()
  }
}

/** When the pieces of a streamed answer came, in milliseconds since the request; the first failure otherwise. */
export async function timePieces(
  url: string,
  { headers = {}, timeoutMs }: AskOptions,
): Promise<{ status: number; type: string; atMs: number[]; text: string } | { code: string; message: string }> {
  const agent = createAgent(timeoutMs)
  const begun = performance.now()
  try {
    const answer = await request(url, { headers, dispatcher: agent, signal: AbortSignal.timeout(timeoutMs) })
    const atMs: number[] = []
    let text = ''
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      atMs.push(Math.round(performance.now() - begun))
      if (text.length < 65_536) text += chunk.toString('utf8')
    }
    return { status: answer.statusCode, type: String(answer.headers['content-type'] ?? ''), atMs, text }
  } catch (error) {
    return storyOf(error)
  } finally {
    void agent.destroy()
  }
}

export type CertificateLook =
  | { validTo: number; subject: string; issuer: string; trouble: string }
  | { code: string; message: string }

/** The certificate that a server shows, also when it should not be believed: `trouble` says why not. */
export function readCertificate(host: string, port: number, timeoutMs: number): Promise<CertificateLook> {
  return new Promise((resolve) => {
    // Only the certificate is read, nothing is sent: it shall be seen also where it is wrong.
    const socket = connectTls({ host, port, servername: /^[\d.:]+$/.test(host) ? '' : host, rejectUnauthorized: false })
    const end = (look: CertificateLook) => {
      socket.destroy()
      clearTimeout(timer)
      resolve(look)
    }
    const timer = setTimeout(() => end({ code: 'ETIMEDOUT', message: 'nobody answers' }), timeoutMs)
    socket.on('error', (error) => end(storyOf(error)))
    socket.on('secureConnect', () => {
      const { valid_to, subject, issuer } = socket.getPeerCertificate()
      end({
        ...{ validTo: Date.parse(valid_to), subject: nameOf(subject), issuer: nameOf(issuer) },
        trouble: socket.authorized ? '' : String(socket.authorizationError ?? 'not trusted'),
      })
    })
  })
}

function nameOf(name: { CN?: string | string[]; O?: string | string[] } | undefined): string {
  return String(name?.CN ?? name?.O ?? '')
}

function createAgent(timeoutMs: number): Agent {
  // The certificate has a check of its own; what is asked here is whether and how somebody answers.
  return new Agent({ connect: { timeout: timeoutMs, rejectUnauthorized: false } })
}

function storyOf(error: unknown): { code: string; message: string } {
  const { code, name, message } = error as NodeJS.ErrnoException
  const inner = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : null
  return { code: String(inner?.code ?? code ?? name), message: inner?.message ?? message }
}
