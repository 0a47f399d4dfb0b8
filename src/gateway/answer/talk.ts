import type { Principal } from '../../kernel/principal.ts'
import type { UsageEntry } from '../../usage/index.ts'
import type { Call, Follower } from '../call.ts'
import { openaiResponses } from '../protocols/openai-responses/index.ts'
import type { Asked } from '../request/asked.ts'
import type { Listener } from './answerer.ts'
import { readSaid, type Said } from './said.ts'

/** Whoever keeps what is said in calls. It is handed the bytes as they are, and reads them when nobody waits. */
export type Scribe = {
  /** null for callers of whom nothing is kept. */
  listen(principal: Principal): Tape | null
}

type Tape = {
  /** Most bytes of question and answer together. */
  maxBytes: number
  /** Whether there is room for so many more; if not, all of the call has been let go. */
  hold(bytes: number): boolean
  end(talk: { requestId: string; startedAt: number; sessionId: string; principal: Principal }, read: () => Said[]): void
  drop(why: 'too_large' | 'no_session' | 'unanswered'): void
}

/** A call that is listened to, as its answer is given. */
export type Talk = Listener & Follower

/** null where nothing of the call is kept: its caller wants none of it, or it belongs to no session. */
export function openTalk(asked: Asked, call: Call, scribe: Scribe): Talk | null {
  // A response that is kept may be the first of a session: only its answer tells.
  if (call.sessionId === '' && asked.protocol.name !== openaiResponses.name) return null
  const tape = scribe.listen(call.principal)
  if (tape === null) return null
  if (asked.body.length > tape.maxBytes) {
    tape.drop('too_large')
    return null
  }
  return tape.hold(asked.body.length) ? new Listening(asked, call, tape) : null
}

class Listening implements Talk {
  private readonly asked: Asked
  private readonly principal: Principal
  private readonly tape: Tape
  private pieces: (Buffer | string)[] = []
  private bytes: number
  private isOver = false

  constructor(asked: Asked, { principal }: Call, tape: Tape) {
    this.asked = asked
    this.principal = principal
    this.tape = tape
    this.bytes = asked.body.length
  }

  add(piece: Buffer | string): void {
    if (this.isOver) return
    this.bytes += piece.length
    const isTooLarge = this.bytes > this.tape.maxBytes
    if (isTooLarge) this.tape.drop('too_large')
    if (isTooLarge || !this.tape.hold(piece.length)) {
      this.isOver = true
      this.pieces = []
      return
    }
    this.pieces.push(piece)
  }

  begin(entry: UsageEntry | null): void {
    if (this.isOver) return
    this.isOver = true
    const { asked, pieces, principal } = this
    if (entry === null || entry.outcome === 'refused') this.tape.drop('unanswered')
    else if (entry.sessionId === '') this.tape.drop('no_session')
    else
      this.tape.end({ requestId: entry.id, startedAt: entry.startedAt, sessionId: entry.sessionId, principal }, () =>
        readSaid(asked, Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)))),
      )
    this.pieces = []
  }
}
