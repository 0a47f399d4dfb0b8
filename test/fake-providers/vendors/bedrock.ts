import { createHash, createHmac } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { VendorError } from '../behaviour.ts'
import { anthropic } from './anthropic.ts'
import { asList, type Json, type RawRequest, type Vendor, type VendorEvent } from './vendor.ts'

export type BedrockOptions = {
  region: string
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  /** Accepted in place of a signature. */
  bearer?: string
}

/** Anthropic's models at https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html. */
export function createBedrock(options: BedrockOptions): Vendor {
  return {
    ...anthropic,
    basePath: '',

    route(method, path, query) {
      const call = /^\/model\/(.+)\/(invoke|invoke-with-response-stream)$/.exec(path)
      if (method === 'POST' && call) {
        return { kind: 'chat', model: call[1]!, stream: call[2] !== 'invoke', isJsonArray: false }
      }
      const isList = method === 'GET' && path === '/foundation-models' && query.get('byProvider') === 'anthropic'
      return isList ? { kind: 'models' } : null
    },

    checkAccess: (request) =>
      options.bearer !== undefined && request.headers.authorization === `Bearer ${options.bearer}`
        ? null
        : refuseSignature(request, options),

    refuse(body, headers, signatures) {
      if (body.anthropic_version !== 'bedrock-2023-05-31') return 'anthropic_version: Field required'
      if ('model' in body) return 'model: Extra inputs are not permitted'
      if ('stream' in body) return 'stream: Extra inputs are not permitted'
      if (headers['anthropic-beta'] !== undefined) return 'anthropic-beta is not a header here'
      if (asList(body.anthropic_beta).includes('unknown-beta')) return 'invalid beta flag'
      const { anthropic_version, anthropic_beta, ...rest } = body
      return anthropic.refuse({ ...rest, model: 'in the address' }, { 'anthropic-version': 'in the body' }, signatures)
    },

    writeError: (error) => ({ message: error.message }),
    errorHeaders: (error) => ({
      'x-amzn-ErrorType': `${error.type ?? errorTypes[error.status] ?? 'InternalServerException'}:http://internal.amazon.com/`,
    }),
    writeErrorEvent: (error) => ({
      event: 'exception',
      data: { type: error.type ?? 'throttlingException', message: error.message },
    }),
    writeModels: (ids) => ({ modelSummaries: ids.map((id) => ({ modelId: id, providerName: 'Anthropic' })) }),
    frame: (events) => ({ contentType: 'application/vnd.amazon.eventstream', frames: events.map(frameEvent) }),
    headers: (requestId) => ({ 'x-amzn-RequestId': requestId }),
  }
}

const errorTypes: Record<number, string> = {
  400: 'ValidationException',
  // It says 403; a behaviour that asks for another vendor's number gets the name that means the same.
  401: 'UnrecognizedClientException',
  403: 'AccessDeniedException',
  404: 'ResourceNotFoundException',
  408: 'ModelTimeoutException',
  424: 'ModelErrorException',
  429: 'ThrottlingException',
  503: 'ServiceUnavailableException',
  529: 'ServiceUnavailableException',
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html, from the reader's side. */
function refuseSignature({ method, url, headers, body }: RawRequest, options: BedrockOptions): VendorError | null {
  const refused = (type: string, message: string): VendorError => ({ status: 403, type, message })
  const given =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/bedrock\/aws4_request, SignedHeaders=([^,]+), Signature=(\w{64})$/.exec(
      headers.authorization ?? '',
    )
  if (given === null) return refused('MissingAuthenticationTokenException', 'Missing Authentication Token')
  const [, keyId, day, region, names, signature] = given as unknown as [string, string, string, string, string, string]
  if (keyId !== options.accessKeyId)
    return refused('UnrecognizedClientException', `The security token ${keyId} included in the request is invalid.`)
  if (region !== options.region)
    return refused('InvalidSignatureException', `Credential should be scoped to a valid region.`)
  if (headers['x-amz-security-token'] !== options.sessionToken)
    return refused('ExpiredTokenException', 'The security token included in the request is expired')
  const time = String(headers['x-amz-date'])
  const sentAt = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (!(Math.abs(Date.now() - sentAt) < 300_000) || !time.startsWith(day))
    return refused('InvalidSignatureException', 'Signature expired')
  const signed = names.split(';')
  const needed = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))]
  if (needed.some((name) => !signed.includes(name)))
    return refused('InvalidSignatureException', 'Headers are not signed')

  const [path, query = ''] = url.split('?') as [string, string?]
  const canonical = [
    method,
    path.split('/').map(encodeStrictly).join('/'),
    query.split('&').sort().join('&'),
    ...signed.map((name) => `${name}:${headers[name]}`),
    '',
    names,
    sha256(body),
  ].join('\n')
  const scope = `${day}/${region}/bedrock/aws4_request`
  let key: Buffer | string = `AWS4${options.secretAccessKey}`
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest()
  const expected = createHmac('sha256', key)
    .update(`AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`)
    .digest('hex')
  if (expected === signature) return null
  return refused(
    'InvalidSignatureException',
    'The request signature we calculated does not match the signature you provided.',
  )
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
}

function frameEvent({ event, data }: VendorEvent): Buffer {
  if (event === 'exception') {
    const { type, message } = data as Json
    const headers = {
      ':exception-type': String(type),
      ':content-type': 'application/json',
      ':message-type': 'exception',
    }
    return frameMessage(headers, JSON.stringify({ message }))
  }
  const said =
    event === 'message_stop' ? { ...(data as Json), 'amazon-bedrock-invocationMetrics': { inputTokenCount: 1 } } : data
  const bytes = Buffer.from(JSON.stringify(said)).toString('base64')
  const headers = { ':event-type': 'chunk', ':content-type': 'application/json', ':message-type': 'event' }
  return frameMessage(headers, JSON.stringify({ bytes, p: 'abcdefgh' }))
}

/** https://smithy.io/2.0/aws/amazon-eventstream.html */
function frameMessage(headers: Record<string, string>, payload: string): Buffer {
  const head = Buffer.concat(
    Object.entries(headers).flatMap(([name, value]) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(Buffer.byteLength(value))
      return [Buffer.from([name.length]), Buffer.from(name), Buffer.from([7]), length, Buffer.from(value)]
    }),
  )
  const prelude = Buffer.alloc(12)
  prelude.writeUInt32BE(16 + head.length + Buffer.byteLength(payload), 0)
  prelude.writeUInt32BE(head.length, 4)
  prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8)
  const message = Buffer.concat([prelude, head, Buffer.from(payload)])
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(message))
  return Buffer.concat([message, check])
}
