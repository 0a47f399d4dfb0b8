import { estimateTokenCount } from 'tokenx'

/** Above this length only samples are read: the estimate stays bounded in time whatever a caller sends. */
const wholeLength = 8192
const sampleLength = 1024
const sampleCount = 4

/**
 * Tokens that `text` is likely to be, for calls whose provider says nothing of usage. Within some ten percent for prose
 * and code in Latin and CJK scripts; never a basis for a limit that must be exact.
 */
export function estimateTokens(text: string): number {
  if (text.length <= wholeLength) return estimateTokenCount(text)
  let sampled = 0
  for (const start of sampleStarts(text.length)) {
    sampled += estimateTokenCount(text.slice(start, start + sampleLength))
  }
  return Math.round((sampled * text.length) / (sampleCount * sampleLength))
}

/** The same for UTF-8 bytes, which are decoded only as far as they are read. */
export function estimateTokensOfBytes(bytes: Uint8Array): number {
  const decoder = new TextDecoder()
  if (bytes.length <= wholeLength) return estimateTokens(decoder.decode(bytes))
  let sampled = 0
  for (const start of sampleStarts(bytes.length)) {
    sampled += estimateTokenCount(decoder.decode(bytes.subarray(start, start + sampleLength)))
  }
  return Math.round((sampled * bytes.length) / (sampleCount * sampleLength))
}

function sampleStarts(length: number): number[] {
  const stride = Math.floor((length - sampleLength) / (sampleCount - 1))
  return Array.from({ length: sampleCount }, (_, i) => i * stride)
}
