import { createHash } from 'node:crypto'
import { Agent, request } from 'undici'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { fail, type HubError } from '../../kernel/errors.ts'
import { signAwsRequest } from '../aws-signature.ts'
import { assertObjectName, type ObjectSink, type ObjectStore, type StoredObject } from './object-store.ts'

export type S3Place = {
  kind: 's3'
  /** Scheme and host, such as https://s3.eu-central-1.amazonaws.com or http://127.0.0.1:9000. */
  endpoint: string
  region: string
  bucket: string
  /** Before each name; '' for none. */
  prefix: string
  accessKeyId: string
  secretAccessKey: string
  /** The bucket as the first segment of the path; else as the first label of the host. */
  isPathStyle: boolean
  /** Of the first thousand parts; later ones are longer. S3 takes none below 5 MiB but the last. */
  partBytes?: number
}

type S3Call = {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** Without prefix; '' for the bucket. */
  name: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Buffer
  maxBytes?: number
  /** Statuses that are answers and no failures. */
  isExpected?(status: number): boolean
  /** What is wrong with an answer that says it is good; '' for nothing. */
  findFault?(answer: Answer): string
}
type Answer = { status: number; headers: Record<string, string>; body: Buffer }

const attempts = 6
const firstWaitMs = 250
const longestWaitMs = 15_000
const timeoutMs = 60_000
const defaultPartBytes = 8 * 1024 * 1024
const retriedCodes =
  /^(SlowDown|InternalError|ServiceUnavailable|RequestTimeout|OperationAborted|BadDigest|XAmzContentSHA256Mismatch)$/

/**
 * A bucket that speaks S3: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html. An object is sent in parts, of
 * which one is in memory, and is there when all of them have arrived and the bucket says it has as many bytes; what was not
 * finished is no object. What may pass is tried again with a growing wait; the rest rejects with the setting to look at.
 */
export function createS3Store(
  place: S3Place,
  { clock = systemClock, random = Math.random }: S3Parts = {},
): ObjectStore {
  const { bucket, prefix, region } = place
  const origin = new URL(place.endpoint)
  const host = place.isPathStyle ? origin.host : `${bucket}.${origin.host}`
  const where = `s3://${bucket}/${prefix} at ${origin.host}`
  const agent = new Agent({ connections: 4, connectTimeout: 10_000, keepAliveTimeout: 4000 })
  const keys = { accessKeyId: place.accessKeyId, secretAccessKey: place.secretAccessKey, sessionToken: null }
  /** What the other side's clock is ahead, once it has said so: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
  let aheadMs = 0

  function pathOf(name: string, query: Record<string, string>): string {
    const key = name === '' ? '' : prefix + name
    const parts = [...(place.isPathStyle ? [bucket] : []), ...key.split('/')].map(encode)
    const text = Object.entries(query).map(([key, value]) => `${encode(key)}=${encode(value)}`)
    return `/${parts.join('/')}${text.length === 0 ? '' : `?${text.join('&')}`}`
  }

  async function once({ method, name, query = {}, headers = {}, body = nothing, maxBytes = 4_000_000 }: S3Call) {
    const path = pathOf(name, query)
    const signed = signAwsRequest(
      { method, host, path, body, region, service: 's3', now: clock.now() + aheadMs, headers },
      keys,
    )
    const answer = await request(`${origin.protocol}//${host}${path}`, {
      ...{ method, dispatcher: agent, headersTimeout: timeoutMs, bodyTimeout: timeoutMs },
      headers: [...signed, ...Object.entries(headers).flat()],
      ...(body.length > 0 && { body }),
    })
    const bytes = method === 'HEAD' ? nothing : await readBody(answer.body, maxBytes)
    if (method === 'HEAD') await answer.body.dump()
    return { status: answer.statusCode, headers: toText(answer.headers), body: bytes } satisfies Answer
  }

  async function call(wish: S3Call): Promise<Answer> {
    let trouble: HubError | null = null
    let isClockSet = false
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0)
        await clock.sleep(Math.min(longestWaitMs, firstWaitMs * 2 ** (attempt - 1)) * (0.5 + random() / 2))
      let answer: Answer
      try {
        answer = await once(wish)
      } catch (cause) {
        trouble = fail('unavailable', `${where} cannot be reached: ${(cause as Error).message}`, { cause })
        continue
      }
      const code = tagIn(answer.body.toString('utf8', 0, 2000), 'Code')
      if (code === 'RequestTimeTooSkewed' && !isClockSet) {
        isClockSet = true
        aheadMs = Date.parse(answer.headers.date ?? '') - clock.now() || 0
        continue
      }
      const isGood = answer.status < 300 || wish.isExpected?.(answer.status) === true
      if (isGood) {
        const fault = wish.findFault?.(answer) ?? ''
        if (fault === '') return answer
        trouble = fail('unavailable', `${where} answered ${answer.status}, and yet ${fault}`)
        continue
      }
      trouble = refusal(wish, answer, code)
      if (answer.status < 500 && answer.status !== 429 && !retriedCodes.test(code)) throw trouble
    }
    throw trouble ?? fail('unavailable', `${where} does not answer`)
  }

  function refusal({ method }: S3Call, { status, headers, body }: Answer, code: string): HubError {
    const said = tagIn(body.toString('utf8', 0, 2000), 'Message') || `it answered ${status} to ${method}`
    const told = `${where}: ${code === '' ? status : code}: ${said}`
    if (status >= 500 || status === 429) return fail('unavailable', told)
    const elsewhere = headers['x-amz-bucket-region']
    if (elsewhere !== undefined && elsewhere !== region)
      return fail('invalid_request', `${told}. The bucket is in ${elsewhere}.`, { param: 'backups.s3_region' })
    if (code === 'NoSuchBucket') return fail('invalid_request', told, { param: 'backups.s3_bucket' })
    if (code === 'InvalidAccessKeyId') return fail('invalid_request', told, { param: 'backups.s3_access_key_id' })
    if (code === 'SignatureDoesNotMatch')
      return fail('invalid_request', told, { param: 'backups.s3_secret_access_key' })
    if (status === 403) {
      const needed =
        'The key needs ListBucket, GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucketMultipartUploads'
      return fail('invalid_request', `${told}. ${needed}.`, { param: 'backups.s3_access_key_id' })
    }
    return fail('invalid_request', told, { param: 'backups.s3_endpoint' })
  }

  /** Pages of a listing; `next` reads from a page where the following one begins. */
  async function* pages(query: Record<string, string>, next: (page: string) => Record<string, string> | null) {
    for (let more: Record<string, string> | null = {}; more !== null; ) {
      const { body } = await call({ method: 'GET', name: '', query: { ...query, prefix, ...more } })
      const page = body.toString('utf8')
      yield page
      more = tagIn(page, 'IsTruncated') === 'true' ? next(page) : null
    }
  }

  async function sizeOf(name: string): Promise<number | null> {
    const { status, headers } = await call({ method: 'HEAD', name, isExpected: (each) => each === 404 })
    return status === 404 ? null : Number(headers['content-length'] ?? 0)
  }

  async function read(name: string, offset: number, length: number): Promise<Buffer> {
    assertObjectName(name)
    if (length === 0) return nothing
    const { status, body } = await call({
      ...{ method: 'GET', name, headers: { range: `bytes=${offset}-${offset + length - 1}` }, maxBytes: length },
      isExpected: (each) => each === 416 || each === 404,
      findFault({ status, headers, body }) {
        if (status !== 206) return status === 200 ? 'it gave another part of the object than it was asked for' : ''
        const [, from, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '') ?? []
        if (Number(from) !== offset) return 'it gave another part of the object than it was asked for'
        const wanted = Math.min(length, Number(total) - offset)
        return body.length === wanted ? '' : `it sent ${body.length} bytes of ${wanted}`
      },
    })
    if (status === 404) throw fail('not_found', `There is no ${name} in ${where}`)
    return status === 416 ? nothing : body
  }

  return {
    where,
    async list() {
      const found: StoredObject[] = []
      const next = (page: string) => ({ 'continuation-token': tagIn(page, 'NextContinuationToken') })
      for await (const page of pages({ 'list-type': '2' }, next)) {
        for (const entry of tagsIn(page, 'Contents')) {
          const name = tagIn(entry, 'Key').slice(prefix.length)
          if (isObjectName(name)) found.push({ name, bytes: Number(tagIn(entry, 'Size')) })
        }
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    async size(name) {
      assertObjectName(name)
      return sizeOf(name)
    },
    read,
    async write(name) {
      assertObjectName(name)
      return createSink(name)
    },
    async remove(name) {
      assertObjectName(name)
      await call({ method: 'DELETE', name, isExpected: (status) => status === 404 })
    },
    async clearUnfinished(before) {
      let cleared = 0
      const next = (page: string) => ({
        'key-marker': tagIn(page, 'NextKeyMarker'),
        'upload-id-marker': tagIn(page, 'NextUploadIdMarker'),
      })
      for await (const page of pages({ uploads: '' }, next)) {
        for (const entry of tagsIn(page, 'Upload')) {
          const name = tagIn(entry, 'Key').slice(prefix.length)
          if (!isObjectName(name) || Date.parse(tagIn(entry, 'Initiated')) >= before) continue
          await abandon(name, tagIn(entry, 'UploadId'))
          cleared++
        }
      }
      return cleared
    },
  }

  async function abandon(name: string, uploadId: string): Promise<void> {
    await call({ method: 'DELETE', name, query: { uploadId }, isExpected: (status) => status === 404 })
  }

  function createSink(name: string): ObjectSink {
    const tags: string[] = []
    let held: Buffer[] = []
    let heldBytes = 0
    let written = 0
    let uploadId = ''
    const partBytes = () => (place.partBytes ?? defaultPartBytes) * (1 + Math.floor(tags.length / 1000))

    async function sendPart(bytes: Buffer): Promise<void> {
      if (uploadId === '') {
        const { body } = await call({ method: 'POST', name, query: { uploads: '' }, findFault: lacks('UploadId') })
        uploadId = tagIn(body.toString('utf8'), 'UploadId')
      }
      const { headers } = await call({
        ...{ method: 'PUT', name, query: { partNumber: String(tags.length + 1), uploadId }, body: bytes },
        findFault: differsFrom(bytes),
      })
      tags.push(headers.etag ?? '')
      written += bytes.length
    }

    async function complete(): Promise<void> {
      const parts = tags.map((tag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${tag}</ETag></Part>`)
      const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`)
      try {
        // It may answer 200 first and say afterwards, in the body, that it failed:
        // https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
        await call({ method: 'POST', name, query: { uploadId }, body, findFault: lacks('ETag') })
      } catch (error) {
        // An earlier try may have been done, and its answer lost: the size below tells.
        if ((error as HubError).code !== 'invalid_request' || !/NoSuchUpload/.test((error as HubError).message))
          throw error
      }
    }

    return {
      async write(bytes) {
        for (let at = 0; at < bytes.length; ) {
          const piece = bytes.subarray(at, at + partBytes() - heldBytes)
          // What is handed over may be used again by whoever wrote it.
          held.push(Buffer.from(piece))
          heldBytes += piece.length
          at += piece.length
          if (heldBytes < partBytes()) continue
          const part = Buffer.concat(held)
          held = []
          heldBytes = 0
          await sendPart(part)
        }
      },
      async finish() {
        const rest = Buffer.concat(held)
        held = []
        if (uploadId === '') {
          await call({ method: 'PUT', name, body: rest, findFault: differsFrom(rest) })
          written = rest.length
        } else {
          if (rest.length > 0) await sendPart(rest)
          await complete()
        }
        const bytes = await sizeOf(name)
        if (bytes === written) return
        throw fail(
          'unavailable',
          `${where} said that it has ${name}, and has ${bytes ?? 'none'} of its ${written} bytes`,
        )
      },
      async abort() {
        held = []
        if (uploadId !== '') await abandon(name, uploadId).catch(() => {})
      },
    }
  }
}

type S3Parts = { clock?: Clock; random?: () => number }

const nothing = Buffer.alloc(0)

/** RFC 3986: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
}

function lacks(tag: string) {
  return ({ body }: Answer) => {
    const text = body.toString('utf8')
    return tagIn(text, tag) !== '' ? '' : `its answer has no ${tag}: ${tagIn(text, 'Message') || text.slice(0, 200)}`
  }
}

/** An entity tag of 32 hex digits is the MD5 of what arrived, unless the bucket encrypts with a key of a key service. */
function differsFrom(bytes: Buffer) {
  return ({ headers }: Answer) => {
    const tag = headers.etag?.replaceAll('"', '') ?? ''
    if (tag === '') return 'its answer has no ETag'
    if (!/^[0-9a-f]{32}$/.test(tag) || /kms|-c$/.test(headers['x-amz-server-side-encryption'] ?? '')) return ''
    return tag === createHash('md5').update(bytes).digest('hex') ? '' : 'what arrived is not what was sent'
  }
}

async function readBody(body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of body) {
    bytes += piece.length
    // Room for an error's text where little was asked for.
    if (bytes > Math.max(maxBytes, 64 * 1024)) throw new Error(`the answer is longer than ${maxBytes} bytes`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

function toText(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value ?? '')]))
}

function isObjectName(name: string): boolean {
  try {
    assertObjectName(name)
    return true
  } catch {
    return false
  }
}

/** Answers of S3 have no attributes, comments or CDATA where we look. */
function tagsIn(xml: string, tag: string): string[] {
  return [...xml.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map(([, text]) => text!)
}

function tagIn(xml: string, tag: string): string {
  const text = tagsIn(xml, tag)[0] ?? ''
  return text.replace(/&(amp|lt|gt|quot|apos|#34|#39);/g, (_, name: string) => entities[name]!)
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", '#34': '"', '#39': "'" }
