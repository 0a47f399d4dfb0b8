import { waitAtMost } from '../../kernel/clock.ts'
import { HubError } from '../../kernel/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { MirrorEntry, MirrorSide, UsageEntry } from '../../usage/index.ts'
import type { Listener } from '../answer/answerer.ts'
import type { InFlight } from '../answer/attempt.ts'
import type { Wanted } from '../answer/wanted.ts'
import type { Call, Follower } from '../call.ts'
import type { ChatRequest, Extras } from '../chat.ts'
import type { GatewayConfig } from '../config.ts'
import type { Candidate, RoutingTable, ServedModel } from '../models.ts'
import type { Asked } from '../request/asked.ts'
import type { Router } from '../routing/router.ts'
import { noWish } from '../routing/wish.ts'
import { askOwn, type OwnCallParts, type Unasked } from './ask.ts'
import { type Answered, compareAnswers, keepAnswer } from './compare.ts'
import { type Heard, heardOf, readHeard } from './heard.ts'
import type { MirrorSettings } from './mirror-settings.ts'

/** Asks second models what callers asked first ones, when the callers have their answers, and keeps what differed. */
export type Mirrors = {
  /** A conversation that is to be mirrored begins; null where it is not: not drawn, too large, or only one can answer. */
  open(settings: MirrorSettings, wanted: Wanted, call: Call): OpenMirror | null
  /** Begins nothing more. */
  rest(): void
  /** Ends what runs; rows of what was asked are written. */
  stop(): Promise<void>
}

/** The answer of the first model as it is given, and what is to follow it. */
export type OpenMirror = Listener & Follower

export type MirrorParts = OwnCallParts & {
  table(): RoutingTable
  router: Pick<Router, 'foresee' | 'traffic'>
  keep(entry: MirrorEntry): Promise<void>
  random: () => number
  log: Log
  metrics: Metrics
  config: GatewayConfig
}

type Result =
  | Unasked
  | 'compared'
  | 'too_large'
  | 'no_answer'
  | 'busy'
  | 'no_provider'
  | 'stopped'
  | 'not_kept'
  | 'broken'

/** Answers that wait to be compared, all together: callers' memory, not theirs. */
const mostHeldBytes = 64 * 1024 * 1024
/** A mirror takes no more of a provider's limits than leaves half of them to callers. */
const shareOfLimits = 0.5
const stopMs = 2000

export function createMirrors(parts: MirrorParts): Mirrors {
  const { clock, config, log, metrics, router } = parts
  const counted = metrics.counter(
    'gatehouse_gateway_mirrors_total',
    'Conversations drawn to be asked of a second model, by what came of it',
    ['model', 'mirror_model', 'result'],
  )
  const runningGauge = metrics.gauge('gatehouse_gateway_mirrors_running', 'Second models that are asked now').with({})
  const running = new Map<Recording, Promise<void>>()
  let heldBytes = 0
  let isResting = false
  metrics.beforeRender(() => runningGauge.set(running.size))

  const count = ({ model, settings }: Pick<Recording, 'model' | 'settings'>, result: Result): null => {
    counted.with({ model, mirror_model: settings.model, result }).inc()
    return null
  }

  const room: Room = {
    hold(bytes) {
      if (heldBytes + bytes > mostHeldBytes) return false
      heldBytes += bytes
      return true
    },
    release(bytes) {
      heldBytes -= bytes
    },
    begin(recording, entry) {
      if (entry === null || entry.outcome === 'refused' || entry.outcome === 'aborted' || entry.attempts.length === 0) {
        return drop(recording, 'no_answer')
      }
      if (isResting) return drop(recording, 'stopped')
      if (recording.isTooLarge) return drop(recording, 'too_large')
      if (running.size >= config.mirror_concurrency) return drop(recording, 'busy')
      const work = run(recording, entry)
        .catch((error: unknown) => {
          log.error('asking a second model broke', { requestId: recording.requestId, error })
          return 'broken' as const
        })
        .then((result) => {
          count(recording, result)
          recording.release()
          running.delete(recording)
        })
      running.set(recording, work)
    },
  }

  function drop(recording: Recording, result: Result): void {
    count(recording, result)
    recording.release()
  }

  async function run(recording: Recording, entry: UsageEntry): Promise<Result> {
    // The caller's last byte goes out with this turn of the loop.
    await new Promise((resolve) => setImmediate(resolve))
    const { settings, asked } = recording
    const model = parts.table().models.get(settings.model)
    const candidate = model === undefined ? null : choose(model, recording)
    if (model === undefined || candidate === null) return 'no_provider'
    const chat = readChat(asked, model)
    if (chat === null) return 'unsupported'
    const answer = await askOwn(
      {
        ...{ purpose: 'mirror', model, candidate, chat, spoken: asked },
        ...{ mirrorOf: recording.requestId, traceId: entry.traceId, share: shareOfLimits },
        timeoutMs: config.mirror_timeout_seconds * 1000,
        inFlight: recording.inFlight,
        begin: () => !isResting,
      },
      parts,
    )
    if (answer.kind === 'unasked') return isResting ? 'stopped' : answer.why
    if (answer.result === null && answer.failure === null) return 'stopped'
    const heard = entry.outcome === 'success' ? recording.heard() : null
    const second = answer.result === null ? null : heardOf(answer.result)
    return (await keep(compared(recording, entry, heard, answer.entry, second))) ? 'compared' : 'not_kept'
  }

  /** As routing would choose now, without a trace in it: who is doubtful, or rests, is left to callers. */
  function choose(model: ServedModel, { asked, tenantId }: Recording): Candidate | null {
    const { traffic } = router
    const plan = router.foresee(model, {
      needs: asked.needs,
      wish: noWish,
      tenantId,
      affinity: asked.affinity,
      inputTokens: () => 0,
    })
    const nowMs = clock.monotonic()
    const isFree = (one: Candidate) =>
      traffic.keyOf(one).state(nowMs) === 'ready' && traffic.pairOf(one).breaker.state(nowMs) === 'closed'
    return plan.order.flatMap(({ siblings }) => siblings).find(isFree) ?? null
  }

  function compared(
    recording: Recording,
    entry: UsageEntry,
    heard: Heard | null,
    secondEntry: UsageEntry,
    second: Heard | null,
  ): MirrorEntry {
    const isTextKept = recording.settings.store === 'text'
    const ours: Answered = { status: entry.outcome === 'truncated' ? 502 : entry.status, heard }
    const { areSchemaValid, ...comparison } = compareAnswers(
      ours,
      { status: secondEntry.status, heard: second },
      { format: recording.asked.chat().responseFormat, isTextKept },
    )
    const [isFirstValid, isSecondValid] = areSchemaValid
    return {
      id: secondEntry.id,
      requestId: entry.id,
      startedAt: secondEntry.startedAt,
      tenantId: entry.tenantId,
      keyId: entry.keyId,
      first: { ...sideOf(entry, heard, isTextKept), status: ours.status, isSchemaValid: isFirstValid },
      second: { ...sideOf(secondEntry, second, isTextKept), isSchemaValid: isSecondValid },
      ...comparison,
    }
  }

  function sideOf(entry: UsageEntry, heard: Heard | null, isTextKept: boolean): Omit<MirrorSide, 'isSchemaValid'> {
    return {
      model: entry.modelAsked,
      providerName: entry.providerName,
      status: entry.status,
      errorCode: entry.errorCode,
      latencyMs: entry.latencyMs,
      tokensIn: entry.tokensIn,
      tokensOut: entry.tokensOut,
      costNanoUsd: parts.prices.cost(entry).nanoUsd,
      finishReason: heard?.finish ?? entry.finishReason,
      answer: isTextKept && heard !== null ? keepAnswer(heard) : '',
    }
  }

  async function keep(entry: MirrorEntry): Promise<boolean> {
    try {
      await parts.keep(entry)
      return true
    } catch (error) {
      log.warn('A comparison of two models could not be stored', { requestId: entry.requestId, error })
      return false
    }
  }

  return {
    open(settings, { conversation }, call) {
      if (isResting || conversation === undefined) return null
      if (settings.percent < 100 && parts.random() * 100 >= settings.percent) return null
      const about = { model: conversation.model, settings }
      // It goes on from what one provider alone keeps.
      if (conversation.pinnedTo !== undefined) return count(about, 'unsupported')
      if (conversation.body.length > settings.max_bytes) return count(about, 'too_large')
      return new Recording(settings, conversation, call, room)
    },
    rest() {
      isResting = true
    },
    async stop() {
      isResting = true
      for (const { inFlight } of running.keys()) inFlight.attempt?.abandon()
      await waitAtMost(clock, stopMs, Promise.all(running.values()))
    },
  }
}

/** What all recordings of a node share. */
type Room = {
  hold(bytes: number): boolean
  release(bytes: number): void
  begin(recording: Recording, entry: UsageEntry | null): void
}

class Recording implements OpenMirror {
  readonly settings: MirrorSettings
  readonly asked: Asked
  readonly model: string
  readonly requestId: string
  readonly tenantId: string
  readonly inFlight: InFlight = { attempt: null }
  isTooLarge = false
  private readonly room: Room
  private pieces: (Buffer | string)[] = []
  private bytes = 0
  private isBegun = false

  constructor(settings: MirrorSettings, asked: Asked, { requestId, principal }: Call, room: Room) {
    this.settings = settings
    this.asked = asked
    this.model = asked.model
    this.requestId = requestId
    this.tenantId = principal.tenantId
    this.room = room
  }

  add(piece: Buffer | string): void {
    if (this.isTooLarge || this.isBegun) return
    if (this.bytes + piece.length > this.settings.max_bytes || !this.room.hold(piece.length)) {
      this.isTooLarge = true
      this.release()
      return
    }
    this.bytes += piece.length
    this.pieces.push(piece)
  }

  begin(entry: UsageEntry | null): void {
    if (this.isBegun) return
    this.isBegun = true
    this.room.begin(this, entry)
  }

  heard(): Heard | null {
    const bytes = Buffer.concat(this.pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)))
    const { protocol, stream, place } = this.asked
    return readHeard(bytes, { protocol: protocol.name, stream, framing: place.framing })
  }

  release(): void {
    this.room.release(this.bytes)
    this.bytes = 0
    this.pieces = []
  }
}

/** The conversation as it goes to the second model: whole, one answer, and nothing kept or known of its caller. */
function readChat(asked: Asked, model: ServedModel): ChatRequest | null {
  try {
    const chat = asked.chat()
    return {
      ...chat,
      ...{ model: model.name, stream: false, includeUsage: false, n: 1, endUser: null },
      extras: withoutStore(chat.extras),
    }
  } catch (error) {
    // Relayed as it is, it may be what only its own provider understands.
    if (error instanceof HubError) return null
    throw error
  }
}

function withoutStore(extras: Extras): Extras {
  return Object.fromEntries(
    Object.entries(extras).map(([protocol, members = {}]) => {
      const { store: _, ...rest } = members
      return [protocol, rest]
    }),
  )
}
