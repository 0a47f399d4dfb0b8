import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a request meets before it is served: nothing, or trouble. */
export type S3Trouble = (call: { method: string; key: string; query: URLSearchParams }) => S3Fault | null
export type S3Fault =
  | { kind: 'status'; status: number; code: string }
  /** The connection is cut once the request was read, or, with `isDone`, once it was also carried out. */
  | { kind: 'cut'; isDone: boolean }
  /** Says 200 and has done nothing. */
  | { kind: 'lie' }
  /** Half of what was to be sent, with its length all the same. */
  | { kind: 'half' }

export type S3Server = {
  endpoint: string
  objects: Map<string, Buffer>
  /** Begun and neither finished nor aborted. */
  uploads: Map<string, { key: string; parts: Map<number, Buffer>; initiatedAt: number }>
  trouble: S3Trouble | null
  /** What its clock is ahead of ours. */
  aheadMs: number
  calls: string[]
  /** Of the bodies it holds at a moment, to see that none is sent whole. */
  longestBody: number
  close(): void
}

const longestSkewMs = 15 * 60_000

/**
 * A bucket that speaks S3 over HTTP and holds to what AWS says of signatures, parts and ranges:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, read from the server's side.
 */
export async function startS3(
  {
    bucket,
    accessKeyId,
    secretAccessKey,
    region,
  }: Record<'bucket' | 'accessKeyId' | 'secretAccessKey' | 'region', string>,
  { leastPartBytes = 5 * 1024 * 1024, pageLength = 1000 } = {},
): Promise<S3Server> {
  const state: Omit<S3Server, 'endpoint' | 'close'> = {
    ...{ objects: new Map(), uploads: new Map(), trouble: null, aheadMs: 0, calls: [], longestBody: 0 },
  }
  let lastUpload = 0
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('error', () => {})
    request.on('end', () => answer(request, response, Buffer.concat(pieces)))
  })

  function answer(request: IncomingMessage, response: ServerResponse, body: Buffer) {
    const { pathname, searchParams } = new URL(request.url!, 'http://s3')
    const [, inBucket, ...rest] = pathname.split('/').map(decodeURIComponent)
    const key = rest.join('/')
    const method = request.method!
    state.longestBody = Math.max(state.longestBody, body.length)
    state.calls.push(`${method} ${key}${[...searchParams.keys()].map((name) => `?${name}`).join('')}`)
    const fault = state.trouble?.({ method, key, query: searchParams }) ?? null
    if (fault?.kind === 'cut' && !fault.isDone) return void request.socket.destroy()
    if (fault?.kind === 'status') return refuse(response, fault.status, fault.code)
    response.setHeader('date', new Date(Date.now() + state.aheadMs).toUTCString())
    const refused = checkSignature(request, body)
    if (refused !== null) return refuse(response, 403, refused)
    if (inBucket !== bucket) return refuse(response, 404, 'NoSuchBucket')
    if (fault?.kind === 'lie')
      return send(response, 200, '<Error><Code>InternalError</Code><Message>later</Message></Error>')
    const isHalf = fault?.kind === 'half'
    const isCut = fault?.kind === 'cut'
    if (isHalf && method === 'HEAD') return refuse(response, 500, 'InternalError')
    serve({ method, key, query: searchParams, body, request, response: isCut ? null : response, isHalf })
    if (isCut) request.socket.destroy()
  }

  function checkSignature({ method, url, headers }: IncomingMessage, body: Buffer): string | null {
    const given =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w{64})$/.exec(
        headers.authorization ?? '',
      )
    if (given === null) return 'AccessDenied'
    const [, id, day, zone, names = '', signature] = given
    const time = String(headers['x-amz-date'])
    const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
    if (id !== accessKeyId) return 'InvalidAccessKeyId'
    if (zone !== region || !time.startsWith(day!)) return 'AuthorizationHeaderMalformed'
    if (!(Math.abs(at - Date.now() - state.aheadMs) <= longestSkewMs)) return 'RequestTimeTooSkewed'
    const sent = String(headers['x-amz-content-sha256'])
    if (sent !== hex(body)) return 'XAmzContentSHA256Mismatch'
    if (!names.split(';').includes('host') || !names.split(';').includes('x-amz-content-sha256')) return 'AccessDenied'
    const [path, query = ''] = url!.split('?')
    const canonical = [
      ...[method, path, query.split('&').filter(Boolean).sort().join('&')],
      ...names.split(';').map((name) => `${name}:${String(headers[name]).trim()}`),
      ...['', names, sent],
    ].join('\n')
    const scope = `${day}/${zone}/s3/aws4_request`
    let secret: Buffer | string = `AWS4${secretAccessKey}`
    for (const part of [day!, zone!, 's3', 'aws4_request']) secret = createHmac('sha256', secret).update(part).digest()
    const wanted = createHmac('sha256', secret)
      .update(['AWS4-HMAC-SHA256', time, scope, hex(Buffer.from(canonical))].join('\n'))
      .digest('hex')
    return wanted === signature ? null : 'SignatureDoesNotMatch'
  }

  type Served = {
    method: string
    key: string
    query: URLSearchParams
    body: Buffer
    request: IncomingMessage
    /** null: it is done, and nobody hears of it. */
    response: ServerResponse | null
    isHalf: boolean
  }

  function serve({ method, key, query, body, request, response, isHalf }: Served) {
    const say = (status: number, text = '', headers = {}) => response && send(response, status, text, headers)
    const no = (status: number, code: string) => response && refuse(response, status, code)
    const upload = state.uploads.get(query.get('uploadId') ?? '')
    if (query.has('uploadId') && upload === undefined) return no(404, 'NoSuchUpload')
    if (key === '') return say(200, query.has('uploads') ? listUploads(query) : listObjects(query))
    if (method === 'POST' && query.has('uploads')) {
      const id = `upload-${++lastUpload}`
      state.uploads.set(id, { key, parts: new Map(), initiatedAt: Date.now() })
      return say(200, `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`)
    }
    if (method === 'PUT' && upload !== undefined) {
      upload.parts.set(Number(query.get('partNumber')), body)
      return say(200, '', { etag: `"${md5(body)}"` })
    }
    if (method === 'POST' && upload !== undefined) return complete(query.get('uploadId')!, upload, body, { say, no })
    if (method === 'DELETE' && upload !== undefined) {
      state.uploads.delete(query.get('uploadId')!)
      return say(204)
    }
    if (method === 'PUT') {
      state.objects.set(key, body)
      return say(200, '', { etag: `"${md5(body)}"` })
    }
    if (method === 'DELETE') {
      state.objects.delete(key)
      return say(204)
    }
    const found = state.objects.get(key)
    if (found === undefined) return no(404, 'NoSuchKey')
    if (method === 'HEAD') return response?.writeHead(200, { 'content-length': found.length }).end()
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    if (from === undefined) return say(200, found.toString('latin1'))
    if (Number(from) >= found.length) return no(416, 'InvalidRange')
    const part = found.subarray(Number(from), Number(to) + 1)
    response?.writeHead(206, {
      'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${found.length}`,
      'content-length': part.length,
    })
    if (!isHalf) return response?.end(part)
    response?.write(part.subarray(0, part.length >> 1), () => response.socket?.destroy())
  }

  type Said = { say(status: number, text?: string): unknown; no(status: number, code: string): unknown }

  function complete(id: string, upload: { key: string; parts: Map<number, Buffer> }, body: Buffer, { say, no }: Said) {
    const wanted = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber><ETag>"?(\w+)"?<\/ETag>/g)]
    const parts = wanted.map(([, number, tag]) => ({ bytes: upload.parts.get(Number(number)), tag }))
    if (parts.length === 0 || parts.some(({ bytes, tag }) => bytes === undefined || md5(bytes) !== tag))
      return no(400, 'InvalidPart')
    if (parts.slice(0, -1).some(({ bytes }) => bytes!.length < leastPartBytes)) return no(400, 'EntityTooSmall')
    state.objects.set(upload.key, Buffer.concat(parts.map(({ bytes }) => bytes!)))
    state.uploads.delete(id)
    return say(200, `<CompleteMultipartUploadResult><ETag>"x-${parts.length}"</ETag></CompleteMultipartUploadResult>`)
  }

  function listObjects(query: URLSearchParams): string {
    const keys = [...state.objects.keys()].filter((key) => key.startsWith(query.get('prefix') ?? '')).sort()
    const from = Number(query.get('continuation-token') ?? 0)
    const page = keys.slice(from, from + pageLength)
    const isMore = keys.length > from + pageLength
    const entries = page.map(
      (key) => `<Contents><Key>${toEntities(key)}</Key><Size>${state.objects.get(key)!.length}</Size></Contents>`,
    )
    return `<ListBucketResult><IsTruncated>${isMore}</IsTruncated><NextContinuationToken>${from + pageLength}</NextContinuationToken>${entries.join('')}</ListBucketResult>`
  }

  function listUploads(query: URLSearchParams): string {
    const entries = [...state.uploads]
      .filter(([, { key }]) => key.startsWith(query.get('prefix') ?? ''))
      .map(
        ([id, { key, initiatedAt }]) =>
          `<Upload><Key>${toEntities(key)}</Key><UploadId>${id}</UploadId><Initiated>${new Date(initiatedAt).toISOString()}</Initiated></Upload>`,
      )
    return `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${entries.join('')}</ListMultipartUploadsResult>`
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(state, {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => void server.close().closeAllConnections(),
  })
}

function send(response: ServerResponse, status: number, text: string, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(text)
}

function refuse(response: ServerResponse, status: number, code: string) {
  send(response, status, `<Error><Code>${code}</Code><Message>said by a test</Message></Error>`)
}

const hex = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex')
const toEntities = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
