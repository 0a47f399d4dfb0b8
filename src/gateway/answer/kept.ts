import { createHash } from 'node:crypto'
import type { Principal } from '../../kernel/principal.ts'
import { type Cache, mostBytes } from '../../platform/cache/cache.ts'
import { type Call, type Ending, leftByCaller } from '../call.ts'
import type { Place } from '../protocols/protocol.ts'

/**
 * Answers kept for who asks the very same again: same caller, same path, same bytes. What is kept is what the first
 * caller got, byte for byte, so a stream is replayed as the stream it was.
 */
export type KeptAnswers = {
  /** null when this caller wants none, or nobody does. */
  open(question: Question, principal: Principal, wish: KeepWish): KeptAnswer | null
}

/** What makes two requests the same. */
export type Question = { endpoint: string; place: Place; body: Buffer }

/** What the caller says of it, in `x-gatehouse-cache`. */
export type KeepWish = 'default' | 'refresh' | 'off'

export type KeptAnswer = {
  /** The answer that is kept, null when there is none. */
  read(): Promise<{ contentType: string; body: Buffer } | null>
  /** A piece of the answer that is being given now. */
  add(piece: Buffer | string): void
  /** The answer is whole: it is kept from now on. */
  keep(contentType: string): void
}

export type KeptSettings = {
  /** Who shares answers: those who use one key, or all keys of a tenant. */
  scope: 'off' | 'key' | 'tenant'
  ttlMs(): number
}

/** Changes with the layout of what is kept: entries of another program are not read. */
const layout = 1

export function createKeptAnswers(cache: Cache, settings: KeptSettings): KeptAnswers {
  return {
    open(question, principal, wish) {
      if (settings.scope === 'off' || wish === 'off') return null
      const owner = settings.scope === 'key' ? principal.keyId : principal.tenantId
      const key = nameOf(question, `${settings.scope}:${owner}`)
      let pieces: (Buffer | string)[] = []
      let size = 0
      return {
        async read() {
          if (wish === 'refresh') return null
          const kept = await cache.get(key)
          return kept === null ? null : unpack(kept)
        },
        add(piece) {
          size += piece.length
          if (size <= mostBytes) pieces.push(piece)
          else pieces = []
        },
        keep(contentType) {
          if (size <= mostBytes) void cache.set(key, pack(contentType, pieces), settings.ttlMs())
          pieces = []
        },
      }
    },
  }
}

/** The answer as the first caller got it; no provider was asked and nothing is paid. */
export function sendKept({ contentType, body }: { contentType: string; body: Buffer }, call: Call): Ending {
  if (call.response.destroyed) return leftByCaller(call, null)
  call.meter.setFacts({ cacheHit: 'exact' })
  return {
    outcome: 'success',
    status: 200,
    error: null,
    finish: '',
    spent: null,
    send(instead) {
      if (instead) throw instead
      const head = ['content-type', contentType, 'content-length', String(body.length), 'x-gatehouse-cache', 'hit']
      call.response.writeHead(200, [...head, ...call.headers])
      call.response.end(body)
    },
  }
}

/** Whether an answer that ended so may be given to another: what a filter cut off may come whole the next time. */
export function isWorthKeeping({ outcome, finish }: Pick<Ending, 'outcome' | 'finish'>): boolean {
  return outcome === 'success' && !/filter|safety|refusal|blocklist|prohibited/i.test(finish)
}

function nameOf({ endpoint, place, body }: Question, owner: string): string {
  const hash = createHash('sha256')
  // Lengths in front: no two questions run together into the same bytes.
  for (const part of [String(layout), owner, endpoint, place.model, String(place.stream), place.framing]) {
    hash.update(`${part.length}:${part}`)
  }
  return hash.update(body).digest('base64url')
}

function pack(contentType: string, pieces: readonly (Buffer | string)[]): Buffer {
  const bytes = pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece))
  return Buffer.concat([Buffer.from(`${contentType}\n`), ...bytes])
}

function unpack(kept: Buffer): { contentType: string; body: Buffer } | null {
  const end = kept.indexOf(0x0a)
  return end === -1 ? null : { contentType: kept.toString('latin1', 0, end), body: kept.subarray(end + 1) }
}

/** `x-gatehouse-cache: off` neither reads nor keeps, `refresh` asks anew and keeps; anything else is the default. */
export function readKeepWish(header: string | string[] | undefined): KeepWish {
  return header === 'off' || header === 'refresh' ? header : 'default'
}
