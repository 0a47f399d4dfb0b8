import type { ServerResponse } from 'node:http'
import type { Behaviour, Point } from './behaviour.ts'
import { compress, recut, slices } from './framing.ts'

/** A worked-out answer: `frames` are the writes of its body. */
export type Reply = {
  status: number
  headers: Record<string, string | string[]>
  frames: Buffer[]
  isStream: boolean
}

/** What a held call waits for, and whom to tell that a broken connection is the fake's own doing. */
export type CallControl = { released: Promise<void>; onBreak(): void }

/** Sends as told: slowly, in odd pieces, not to the end. Resolves when nothing more will be sent. */
export async function send(
  response: ServerResponse,
  reply: Reply,
  behaviour: Behaviour,
  control: CallControl,
): Promise<void> {
  const frames = await prepareFrames(reply, behaviour)
  await wait(behaviour.headDelayMs)
  if (await stopsAt('head', response, behaviour, control)) return
  response.sendDate = false
  response.writeHead(reply.status, headersToSend(reply, behaviour, frames))
  if (reply.isStream || behaviour.holdAt === 0) response.flushHeaders()
  for (const [index, frame] of frames.entries()) {
    if (await stopsAt(index, response, behaviour, control)) return
    await wait(behaviour.chunkDelayMs)
    if (response.destroyed) return
    await new Promise<void>((resolve) => {
      response.once('close', resolve)
      response.write(frame, () => {
        response.off('close', resolve)
        resolve()
      })
    })
  }
  if (await stopsAt(frames.length, response, behaviour, control)) return
  // A body shorter than announced can only be shown by closing the connection.
  if (behaviour.contentLength === 'too-long') {
    control.onBreak()
    response.destroy()
  } else response.end()
}

async function prepareFrames(reply: Reply, behaviour: Behaviour): Promise<Buffer[]> {
  let { frames } = reply
  if (behaviour.encoding) frames = await compress(frames, behaviour.encoding)
  frames = recut(frames, behaviour.framing?.writes)
  if (reply.isStream) return frames
  // A whole answer is one write; a point inside it needs as many pieces.
  const points = [behaviour.cut?.at, behaviour.holdAt].filter((at) => typeof at === 'number')
  const needed = Math.max(0, ...points) + 1
  const [whole] = frames
  if (frames.length > 1 || whole === undefined || needed === 1) return frames
  return slices(whole, Math.max(1, Math.ceil(whole.length / needed)))
}

async function stopsAt(
  point: Point,
  response: ServerResponse,
  behaviour: Behaviour,
  control: CallControl,
): Promise<boolean> {
  if (behaviour.holdAt === point) {
    await Promise.race([control.released, new Promise<void>((resolve) => response.once('close', resolve))])
  }
  if (response.destroyed) return true
  if (behaviour.cut?.at !== point) return false
  if (behaviour.cut.how === 'eof') {
    response.end()
    return true
  }
  control.onBreak()
  if (behaviour.cut.how === 'reset') response.socket?.resetAndDestroy()
  else response.socket?.destroy()
  return true
}

function headersToSend(reply: Reply, behaviour: Behaviour, frames: Buffer[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = { ...reply.headers }
  if (behaviour.encoding) headers['Content-Encoding'] = behaviour.encoding
  const isLengthKnown = !reply.isStream && behaviour.cut?.how !== 'eof'
  if (isLengthKnown || behaviour.contentLength) {
    const length = frames.reduce((sum, frame) => sum + frame.length, 0)
    const lie = behaviour.contentLength === 'too-short' ? -5 : behaviour.contentLength === 'too-long' ? 5 : 0
    headers['Content-Length'] = String(Math.max(0, length + lie))
  }
  for (const [name, value] of Object.entries(behaviour.headers ?? {})) {
    const known = Object.keys(headers).find((other) => other.toLowerCase() === name.toLowerCase())
    if (known) delete headers[known]
    if (value !== null) headers[name] = value
  }
  if (behaviour.headerNames !== 'lower') return headers
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

async function wait(ms: number | undefined): Promise<void> {
  if (ms) await new Promise((resolve) => setTimeout(resolve, ms))
}
