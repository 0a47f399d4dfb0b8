import type { IncomingHttpHeaders, Server } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'

export type RealtimeSession = {
  headers: IncomingHttpHeaders
  path: string
  socket: WebSocket
  /** Events that came, parsed. */
  events: { type: string; [name: string]: unknown }[]
  /** How the peer closed it. */
  closed: Promise<{ code: number; reason: string }>
  send(event: object): void
}

const usage = {
  total_tokens: 130,
  input_tokens: 100,
  output_tokens: 30,
  input_token_details: { text_tokens: 40, audio_tokens: 60, cached_tokens: 20 },
  output_token_details: { text_tokens: 10, audio_tokens: 20 },
}

/** https://platform.openai.com/docs/guides/realtime-websocket: no credential in a subprotocol is ever ours to see. */
export function openRealtime(server: Server, apiKey: string): { sessions: RealtimeSession[]; close(): void } {
  const sessions: RealtimeSession[] = []
  const acceptor = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => (offered.has('realtime') ? 'realtime' : false),
  })
  server.on('upgrade', (request, socket, head) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://fake')
    const isOurs = pathname === '/v1/realtime' && searchParams.get('model') !== 'no-such-model'
    if (!isOurs || request.headers.authorization !== `Bearer ${apiKey}`) {
      socket.end(`HTTP/1.1 ${isOurs ? 401 : 404} No\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}`)
      return
    }
    acceptor.handleUpgrade(request, socket, head, (peer) => {
      const session: RealtimeSession = {
        headers: request.headers,
        path: request.url ?? '',
        socket: peer,
        events: [],
        closed: new Promise((resolve) =>
          peer.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
        ),
        send: (event) => peer.send(JSON.stringify(event)),
      }
      sessions.push(session)
      session.send({ type: 'session.created', session: { id: 'sess_1', model: searchParams.get('model') } })
      peer.on('message', (data) => {
        const event = JSON.parse(data.toString())
        session.events.push(event)
        if (event.type !== 'response.create') return
        session.send({ type: 'response.created', response: { id: 'resp_1' } })
        session.send({ type: 'response.output_text.delta', delta: 'Hi' })
        if (event.isHeld === true) return
        session.send({ type: 'response.done', response: { id: 'resp_1', status: 'completed', usage } })
      })
    })
  })
  return {
    sessions,
    close() {
      for (const { socket } of sessions) socket.terminate()
      acceptor.close()
    },
  }
}
