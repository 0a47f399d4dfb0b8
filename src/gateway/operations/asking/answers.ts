import type { IncomingHttpHeaders } from 'node:http'
import { fail } from '../../../kernel/errors.ts'
import { createSseReader } from '../../../kernel/sse.ts'
import type { WholeRead } from '../../answer/wanted.ts'
import type { ChatUsage, UpstreamFailure } from '../../chat.ts'
import type { LiveProvider } from '../../models.ts'
import { asObject, type JsonObject } from '../../protocols/json.ts'
import { rewrite, type Scan, scanTopLevel } from '../../protocols/scan.ts'
import type { Operation } from '../operation.ts'
import { errorsOf } from './address.ts'
import { noTokens, readCounted } from './read-usage.ts'

/** Reads a whole answer no further than the ledger must know. Throws when it is none. */
export function readWholeAnswer(
  body: Buffer,
  headers: IncomingHttpHeaders,
  operation: Operation,
  provider: LiveProvider,
  names: { asked: string; sent: string },
): WholeRead | { failure: UpstreamFailure } {
  const contentType = String(headers['content-type'] ?? 'application/json')
  if (!/^application\/json\b/i.test(contentType)) {
    if (!operation.isText || /^text\/html/i.test(contentType) || !/^(text|application)\//i.test(contentType)) {
      throw fail('upstream_garbled')
    }
    const usage = /^text\/event-stream/i.test(contentType) ? usageOfEvents(body) : null
    return { body, usage, finish: '', contentType, contentBytes: operation.countsText ? body.length : 0 }
  }
  const read = readMembers(body)
  if (asObject(read.member('error')) !== null) {
    return { failure: errorsOf(provider)(500, {}, body.toString('utf8', 0, 65_536)) }
  }
  return {
    // The caller's own name for the model, where the provider repeats the one it was sent.
    body: names.asked !== names.sent && typeof read.member('model') === 'string' ? read.rename(names.asked) : body,
    usage: countWhole(body, read.member),
    finish: '',
    contentType,
    contentBytes: operation.countsText ? body.length : 0,
  }
}

type Members = { member(name: string): unknown; rename(model: string): Buffer }

function readMembers(body: Buffer): Members {
  const scan: Scan | null = scanTopLevel(body)
  if (scan) {
    return {
      member: (name) => {
        const range = scan.get(name)
        return range && JSON.parse(body.toString('utf8', range.start, range.end))
      },
      rename: (model) => rewrite(body, scan, { set: { model: JSON.stringify(model) } }),
    }
  }
  const wire = asObject(JSON.parse(body.toString('utf8')))
  if (wire === null) throw fail('upstream_garbled')
  return {
    member: (name) => wire[name],
    rename: (model) => Buffer.from(JSON.stringify({ ...wire, model })),
  }
}

function countWhole(body: Buffer, member: (name: string) => unknown): ChatUsage | null {
  const usage = readCounted(member('usage'))
  const images = countImages(body)
  const seconds = Number(member('duration') ?? Number.NaN)
  if (usage === null && images === 0 && !(seconds >= 0)) return null
  return {
    ...(usage ?? noTokens),
    ...(images > 0 ? { images } : {}),
    ...(usage === null && seconds >= 0 ? { audioMs: Math.round(seconds * 1000) } : {}),
  }
}

// Inside JSON text a quote is escaped, so these bytes with bare quotes can only be names of members.
const imageWords = [Buffer.from('"b64_json"'), Buffer.from('"url"')]

function countImages(body: Buffer): number {
  let count = 0
  for (const word of imageWords) {
    for (let at = body.indexOf(word); at !== -1; at = body.indexOf(word, at + word.length)) count++
  }
  return count
}

function usageOfEvents(body: Buffer): ChatUsage | null {
  const reader = createSseReader()
  let usage: ChatUsage | null = null
  for (const { data } of [...reader.push(body), ...reader.close()]) {
    usage = readCounted(parse(Buffer.from(data)).usage) ?? usage
  }
  return usage
}

/** What an event of an answer says; {} when it is not JSON. Pictures inside it are not read. */
export function parse(payload: Buffer): JsonObject {
  const scan = scanTopLevel(payload)
  if (!scan) {
    try {
      return asObject(JSON.parse(payload.toString('utf8'))) ?? {}
    } catch {
      return {}
    }
  }
  const found: JsonObject = {}
  for (const name of ['type', 'usage', 'error']) {
    const range = scan.get(name)
    if (range) found[name] = JSON.parse(payload.toString('utf8', range.start, range.end))
  }
  return found
}
