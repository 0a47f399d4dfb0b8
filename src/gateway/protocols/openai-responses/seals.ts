import { asObject, asText } from '../json.ts'
import { openSignature, sealSignature } from '../signatures.ts'
import { protocolName } from './wire.ts'

/** The first characters of everything that `sealSignature` makes. */
const mark = Buffer.from(`"${sealSignature({ by: '', signature: '' }).slice(0, 10)}`)

/** Whether a body may hold proofs of other vendors; told without reading it. */
export function hasForeignSeal(body: Buffer): boolean {
  return body.includes(mark)
}

/** The input without the reasoning items whose content somebody else than OpenAI signed. */
export function withoutForeignSeals(input: unknown): unknown {
  if (!Array.isArray(input)) return input
  return input.filter((item: unknown) => {
    const wire = asObject(item)
    if (wire?.type !== 'reasoning') return true
    const sealed = openSignature(asText(wire.encrypted_content))
    return sealed === null || sealed.by === protocolName
  })
}
