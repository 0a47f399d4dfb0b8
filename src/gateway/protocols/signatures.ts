import { asObject, asText } from './json.ts'

/**
 * How a proof that one vendor signed travels through callers of another protocol: as a text that stands where that
 * protocol keeps signatures of its own (`thinking.signature` and `redacted_thinking.data` of Anthropic,
 * `thoughtSignature` of Gemini, `encrypted_content` of OpenAI's Responses). Clients hand such texts back byte for byte,
 * so a conversation may change its provider between turns and each provider gets back only what it signed itself.
 */
export type SealedSignature = {
  /** Name of the protocol whose provider signed. */
  by: string
  signature: string
  /** The signature is all there is: thinking that its vendor sealed. */
  redacted?: boolean
  /** It belongs to a tool call and not to the thinking before it. */
  callId?: string
}

/** Base64 throughout: some SDKs decode these members, and the JSON in it begins the same way each time. */
const mark = Buffer.from('{"gh":1,').toString('base64').slice(0, 10)

/** @returns standard base64, told from every vendor's own signatures by its beginning */
export function sealSignature(sealed: SealedSignature): string {
  return Buffer.from(JSON.stringify({ gh: 1, ...sealed })).toString('base64')
}

/** null for a signature that is not one of ours: then the caller's own protocol signed it. */
export function openSignature(text: string): SealedSignature | null {
  if (!text.startsWith(mark)) return null
  try {
    const sealed = asObject(JSON.parse(Buffer.from(text, 'base64').toString('utf8')))
    if (sealed?.gh !== 1 || asText(sealed.by) === '' || typeof sealed.signature !== 'string') return null
    return {
      by: asText(sealed.by),
      signature: sealed.signature,
      ...(sealed.redacted === true ? { redacted: true } : {}),
      ...(typeof sealed.callId === 'string' ? { callId: sealed.callId } : {}),
    }
  } catch {
    return null
  }
}
