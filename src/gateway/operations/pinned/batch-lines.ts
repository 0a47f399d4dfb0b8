import { fail, type HubError } from '../../../kernel/errors.ts'
import { asObject, asText } from '../../protocols/json.ts'
import { rewrite, scanTopLevel } from '../../protocols/scan.ts'

/**
 * The lines of a batch's input: requests as https://platform.openai.com/docs/api-reference/batch/request-input tells.
 * All of them ask one model, which the caller names as it does everywhere here and the provider as it knows it.
 */

const mostLineBytes = 16 * 1024 * 1024

/** The one model that all lines ask. Throws HubError `invalid_request` naming the line that is wrong. */
export async function readBatchModel(file: AsyncIterable<Buffer>): Promise<string> {
  let model: string | null = null
  let number = 0
  for await (const line of linesOf(file)) {
    number++
    if (isBlank(line)) continue
    const named = modelOf(line, number)
    if (model !== null && named !== model)
      throw wrong(number, `asks ${named}, and a line before asks ${model}: one batch has one model`)
    model = named
  }
  if (model === null) throw fail('invalid_request', 'The file holds no request.', { param: 'file' })
  return model
}

/** The same lines under the provider's name for the model. */
export async function* renameModel(file: AsyncIterable<Buffer>, providerModel: string): AsyncGenerator<Buffer> {
  let number = 0
  for await (const line of linesOf(file)) {
    number++
    if (!isBlank(line)) yield Buffer.concat([renameLine(line, number, providerModel), lineEnd])
  }
}

const lineEnd = Buffer.from('\n')

async function* linesOf(file: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer[] = []
  let size = 0
  let number = 1
  for await (const chunk of file) {
    let from = 0
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, at)])
      rest = []
      size = 0
      number++
      from = at + 1
    }
    size += chunk.length - from
    if (size > mostLineBytes) throw wrong(number, `is longer than ${mostLineBytes} bytes`)
    if (from < chunk.length) rest.push(chunk.subarray(from))
  }
  if (size > 0) yield Buffer.concat(rest)
}

function isBlank(line: Buffer): boolean {
  return line.length < 3 && line.toString('latin1').trim() === ''
}

function modelOf(line: Buffer, number: number): string {
  const model = asText(asObject(readLine(line, number).body)?.model)
  if (model === '') throw wrong(number, 'names no model in its body')
  return model
}

function readLine(line: Buffer, number: number) {
  try {
    const wire = asObject(JSON.parse(line.toString('utf8')))
    if (wire !== null) return wire
  } catch {
    // Told below.
  }
  throw wrong(number, 'is not a JSON object')
}

/** Everything else stays as it is written, wherever no two readers could read the line differently. */
function renameLine(line: Buffer, number: number, model: string): Buffer {
  const outer = scanTopLevel(line)
  const range = outer?.get('body')
  const body = range && line.subarray(range.start, range.end)
  const inner = body && scanTopLevel(body)
  if (outer && body && inner) {
    const renamed = rewrite(body, inner, { set: { model: JSON.stringify(model) } })
    return rewrite(line, outer, { set: { body: renamed.toString('utf8') } })
  }
  const wire = readLine(line, number)
  return Buffer.from(JSON.stringify({ ...wire, body: { ...asObject(wire.body), model } }))
}

function wrong(number: number, what: string): HubError {
  return fail('invalid_request', `Line ${number} of the file ${what}.`, { param: 'file' })
}
