import type { Upstreams } from '../../../platform/fetch.ts'
import type { WebSocket } from '../../../platform/web-socket.ts'
import type { UpstreamFailure } from '../../chat.ts'
import { failure, networkFailure } from '../../failures.ts'
import type { Candidate } from '../../models.ts'
import { addressAt, errorsOf } from '../asking/address.ts'

/** Largest event of either side: a picture or a quarter of an hour of sound. */
export const mostMessageBytes = 16 * 1024 * 1024

export type Connected = { socket: WebSocket } | { failure: UpstreamFailure }

/**
 * Opens a session at one provider. The caller's credential is never among what is sent: the provider gets its own. What
 * it says before anybody listens waits: the socket is paused.
 */
export async function connectRealtime(
  { provider, providerModel, timeoutMs }: Candidate,
  asked: { protocols: readonly string[]; beta: string | undefined; intent: string | null; traceparent: string },
  openWebSocket: Upstreams['openWebSocket'],
  whenLeft: (leave: () => void) => void,
): Promise<Connected> {
  const query = new URLSearchParams({
    model: providerModel,
    ...(asked.intent === null ? {} : { intent: asked.intent }),
  })
  const headers: Record<string, string> = { 'user-agent': 'gatehouse', traceparent: asked.traceparent }
  const address = addressAt(provider, { path: `/realtime?${query}`, model: providerModel, stream: true })
  if (address === null) return { failure: failure('not_found', 404, 'The provider serves no realtime sessions.') }
  const { origin, basePath, credential } = provider
  const path = basePath + address.path
  let own: readonly string[]
  try {
    own = await credential.authorize({ method: 'GET', origin, path, body: '' })
  } catch (error) {
    return { failure: networkFailure(error as Error) }
  }
  const given = [...own, ...address.headers]
  for (let i = 0; i < given.length; i += 2) headers[given[i]!] = given[i + 1]!
  if (asked.beta !== undefined) headers['openai-beta'] = asked.beta

  return await new Promise((resolve) => {
    const socket = openWebSocket(origin.replace(/^http/, 'ws') + path, {
      headers,
      protocols: asked.protocols,
      handshakeTimeoutMs: timeoutMs,
      maxMessageBytes: mostMessageBytes,
    })
    const refuse = (failed: UpstreamFailure) => {
      resolve({ failure: failed })
      socket.terminate()
    }
    whenLeft(() => refuse(failure('server_error', 0, 'The caller hung up.')))
    const onError = (error: Error) => refuse(networkFailure(error))
    socket.on('error', onError)
    socket.once('open', () => {
      // From here on its close says what became of it; an error alone says nothing more.
      socket.on('error', () => {})
      socket.off('error', onError)
      socket.pause()
      resolve({ socket })
    })
    socket.once('unexpected-response', (_request, response) => {
      const status = response.statusCode ?? 502
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        if (text.length < 65_536) text += piece
      })
      const done = () => {
        // No upgrade and no error either is no answer of a WebSocket server.
        refuse(
          status >= 400
            ? errorsOf(provider)(status, response.headers, text)
            : failure('server_error', 502, 'The provider opened no WebSocket.'),
        )
      }
      response.once('end', done)
      response.once('close', done)
    })
  })
}
