import { createHash } from 'node:crypto'

export type FormPart = { text: string } | { filename: string; size: number; sha256: string; bytes: Buffer }

/** Reads multipart/form-data by Node's own reader, which shares nothing with the hub's. A field twice is refused. */
export async function readForm(body: Buffer, contentType: string): Promise<Record<string, FormPart>> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData()
  const parts: Record<string, FormPart> = {}
  for (const [name, value] of form.entries()) {
    if (name in parts && !name.endsWith('[]')) throw new Error(`the field ${name} is given twice`)
    if (typeof value === 'string') parts[name] = { text: value }
    else {
      const bytes = Buffer.from(await value.arrayBuffer())
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      parts[name] = { filename: value.name, size: bytes.length, sha256, bytes }
    }
  }
  return parts
}

export const textOf = (part: FormPart | undefined): string | undefined =>
  part !== undefined && 'text' in part ? part.text : undefined
