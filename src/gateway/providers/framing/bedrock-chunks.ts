import type { JsonObject } from '../../protocols/protocol.ts'
import type { FrameDecoder } from '../provider.ts'
import { createAwsMessageReader } from './aws-event-stream.ts'

/**
 * Bedrock's answer stream becomes Anthropic's own: each `chunk` holds one event as base64,
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html. An exception
 * inside the stream becomes an `error` event.
 */
export function createBedrockDecoder(): FrameDecoder {
  const reader = createAwsMessageReader()
  return {
    push: (chunk) =>
      reader.push(chunk).flatMap(({ headers, payload }) => {
        const kind = headers[':message-type']
        if (kind === 'exception') return writeError(headers[':exception-type'] ?? '', messageOf(payload))
        if (kind === 'error') return writeError(headers[':error-code'] ?? '', headers[':error-message'] ?? '')
        return headers[':event-type'] === 'chunk' ? writeChunk(payload) : []
      }),
  }
}

function writeChunk(payload: Buffer): Buffer | [] {
  const { bytes } = JSON.parse(payload.toString('utf8')) as { bytes?: unknown }
  if (typeof bytes !== 'string') throw new Error('a chunk without bytes')
  const json = Buffer.from(bytes, 'base64').toString('utf8')
  const type = typeAtStart.exec(json)?.[1] ?? String((JSON.parse(json) as JsonObject).type)
  // One line of JSON is one line of data; anything else would be two events.
  return writeEvent(type, /[\r\n]/.test(json) ? JSON.stringify(JSON.parse(json)) : json)
}

const typeAtStart = /^\{"type":"(\w{1,40})"/

function writeError(name: string, message: string): Buffer {
  return writeEvent('error', JSON.stringify({ type: 'error', error: toAnthropicError(name, message) }))
}

function writeEvent(type: string, json: string): Buffer {
  return Buffer.from(`event: ${type}\ndata: ${json}\n\n`)
}

function messageOf(payload: Buffer): string {
  try {
    const { message, Message } = JSON.parse(payload.toString('utf8')) as JsonObject
    return typeof message === 'string' ? message : typeof Message === 'string' ? Message : ''
  } catch {
    return ''
  }
}

/** https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html, in Anthropic's words. */
const kinds = new Map([
  ['throttling', 'rate_limit_error'],
  ['modelnotready', 'overloaded_error'],
  ['serviceunavailable', 'overloaded_error'],
  ['modeltimeout', 'timeout_error'],
  ['modelerror', 'api_error'],
  ['modelstreamerror', 'api_error'],
  ['internalserver', 'api_error'],
  ['servicequotaexceeded', 'billing_error'],
  ['accessdenied', 'permission_error'],
  ['optinrequired', 'permission_error'],
  ['unrecognizedclient', 'authentication_error'],
  ['invalidsignature', 'authentication_error'],
  ['invalidclienttokenid', 'authentication_error'],
  ['incompletesignature', 'authentication_error'],
  ['missingauthenticationtoken', 'authentication_error'],
  ['expiredtoken', 'authentication_error'],
  ['resourcenotfound', 'not_found_error'],
  ['validation', 'invalid_request_error'],
])

/** `type` '' where the name says nothing. */
export function toAnthropicError(name: string, message: string): { type: string; message: string } {
  const key = name
    .replace(/[:#].*$/, '')
    .replace(/Exception$/i, '')
    .toLowerCase()
  const type = kinds.get(key) ?? ''
  // Bedrock says it in its own words; ours are what the protocol's reader looks for.
  const isTooLong = type === 'invalid_request_error' && /input is too long/i.test(message)
  return { type, message: isTooLong ? `prompt is too long: ${message}` : message }
}
