import { z } from 'zod'
import { fail, HubError } from '../../kernel/errors.ts'
import { compileSearch } from '../../kernel/regex.ts'
import { headerMap } from '../shapes.ts'
import { defineProbe, type Finding, failed, ok, toFinding } from './probe.ts'

export const websocketProbe = defineProbe({
  type: 'websocket',
  describe: { en: 'A WebSocket opens, and says what is awaited.', zh: 'WebSocket 可以建立连接并返回期望内容。' },
  parameters: z.strictObject({
    url: z
      .string()
      .max(2000)
      .refine((text) => URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol), 'is a ws:// or wss:// address'),
    request_headers: headerMap,
    protocols: z
      .array(z.string().regex(/^[\w.+-]{1,100}$/))
      .max(10)
      .default([]),
    send: z.string().max(65_536).default(''),
    expect: z.string().max(500).default('').describe('A pattern (RE2) that a message must hold; empty to only open.'),
    max_bytes: z.int().min(1).max(1_048_576).default(65_536),
  }),
  secrets: ['request_headers', 'send'],
  target: ({ url }) => new URL(url).hostname,
  run(parameters, { way, timeoutMs }) {
    const { url, send, expect } = parameters
    const isAwaited = expect === '' ? null : compileSearch(expect)
    const socket = way.openWebSocket(url, {
      ...{ headers: parameters.request_headers, protocols: parameters.protocols },
      ...{ handshakeTimeoutMs: timeoutMs, maxMessageBytes: parameters.max_bytes },
    })
    return new Promise<Finding>((resolve) => {
      const timer = setTimeout(() => end(failed('timeout', `Nothing awaited came within ${timeoutMs} ms.`)), timeoutMs)
      const end = (finding: Finding) => {
        clearTimeout(timer)
        resolve(finding)
        socket.removeAllListeners()
        socket.on('error', () => {})
        socket.terminate()
      }
      socket.on('open', () => {
        if (send !== '') socket.send(send)
        if (isAwaited === null) end(ok('Opens.'))
      })
      socket.on('message', (data: Buffer) => {
        if (isAwaited?.(data.toString())) end(ok('Says what is awaited.'))
      })
      socket.on('unexpected-response', (_request, response) =>
        end(failed('status', `Answers ${response.statusCode} where a WebSocket is asked for.`)),
      )
      socket.on('close', (code) => end(failed('answer', `Closed with ${code} before what is awaited came.`)))
      socket.on('error', (error: Error & { code?: string }) => {
        if (error instanceof HubError) return end(toFinding(error))
        if (/handshake has timed out/i.test(error.message))
          return end(failed('timeout', `Did not open within ${timeoutMs} ms.`))
        if (error.code?.startsWith('WS_ERR')) return end(failed('answer', `Speaks no good WebSocket (${error.code}).`))
        end(
          toFinding(
            fail('upstream_unreachable', `${new URL(url).host} cannot be reached (${error.code ?? error.name}).`, {
              cause: error,
            }),
          ),
        )
      })
    })
  },
})
