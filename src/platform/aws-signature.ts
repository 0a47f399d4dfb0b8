import { createHash, createHmac } from 'node:crypto'

export type AwsKeys = { accessKeyId: string; secretAccessKey: string; sessionToken: string | null }

export type SignedCall = {
  method: string
  /** As in the Host header. */
  host: string
  /** As it will be sent, with its query. */
  path: string
  body: Buffer | string
  region: string
  service: string
  /** Epoch milliseconds. */
  now: number
  /** More headers to sign, lower-case names. */
  headers?: Record<string, string>
}

/**
 * Signature Version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The path
 * as sent is encoded once more before it is signed, but for S3, which also wants the hash of the body in a header:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html. Returns headers as a flat list.
 */
export function signAwsRequest(call: SignedCall, keys: AwsKeys): string[] {
  const time = new Date(call.now).toISOString().replace(/[-:]|\.\d{3}/g, '')
  const added: [string, string][] = [['x-amz-date', time]]
  const isS3 = call.service === 's3'
  if (isS3) added.push(['x-amz-content-sha256', sha256(call.body)])
  if (keys.sessionToken !== null) added.push(['x-amz-security-token', keys.sessionToken])
  const signed = [['host', call.host] as const, ...added, ...Object.entries(call.headers ?? {})].sort(byText)
  const names = signed.map(([name]) => name).join(';')

  const question = call.path.indexOf('?')
  const path = question === -1 ? call.path : call.path.slice(0, question)
  const query = question === -1 ? '' : call.path.slice(question + 1)
  const canonical = [
    call.method,
    isS3 ? path : canonicalPath(path),
    canonicalQuery(query),
    ...signed.map(([name, value]) => `${name}:${value.trim().replace(/\s+/g, ' ')}`),
    '',
    names,
    sha256(call.body),
  ].join('\n')

  const day = time.slice(0, 8)
  const scope = `${day}/${call.region}/${call.service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  let key: Buffer | string = `AWS4${keys.secretAccessKey}`
  for (const part of [day, call.region, call.service, 'aws4_request']) key = hmac(key, part)
  const signature = hmac(key, toSign).toString('hex')
  const credential = `${keys.accessKeyId}/${scope}`
  return [
    ...added.flat(),
    'authorization',
    `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`,
  ]
}

function canonicalPath(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(encode(part))
  }
  const end = parts.length > 0 && /\/\.{0,2}$/.test(path) ? '/' : ''
  return `/${parts.join('/')}${end}`
}

function canonicalQuery(query: string): string {
  if (query === '') return ''
  const pairs = query.split('&').map((pair) => {
    const equals = pair.indexOf('=')
    const [name, value] = equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
    return [encode(decodeURIComponent(name)), encode(decodeURIComponent(value))] as const
  })
  return pairs
    .sort((a, b) => byText(a, b) || compare(a[1], b[1]))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** RFC 3986: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
}

function byText(a: readonly [string, string], b: readonly [string, string]): number {
  return compare(a[0], b[0])
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex')
}

function hmac(key: Buffer | string, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest()
}
