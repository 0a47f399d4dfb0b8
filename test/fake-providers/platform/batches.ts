import { createFakeId, type FakeFile } from './files.ts'
import { json, type PlatformRoute, refuse } from './platform.ts'

export type FakeBatch = Record<string, unknown> & { id: string; status: string; input_file_id: string }

/** https://platform.openai.com/docs/api-reference/batch */
export function batchRoutes(files: Map<string, FakeFile>) {
  const batches = new Map<string, FakeBatch>()
  const route: PlatformRoute = ({ method, path, json: body }) => {
    if (path === '/v1/batches' && method === 'POST') {
      const input = files.get(String(body?.input_file_id))
      if (!input) return refuse(400, 'No such File object', 'input_file_id')
      if (input.purpose !== 'batch') return refuse(400, "the file's purpose must be batch", 'input_file_id')
      if (body?.completion_window !== '24h') return refuse(400, 'completion_window must be 24h', 'completion_window')
      const batch: FakeBatch = {
        ...{ id: createFakeId('batch_'), object: 'batch', endpoint: body?.endpoint, errors: null },
        ...{ input_file_id: input.id, completion_window: '24h', status: 'in_progress', created_at: 1_750_000_000 },
        ...{ output_file_id: null, error_file_id: null, metadata: body?.metadata ?? null },
        request_counts: { total: lines(input).length, completed: 0, failed: 0 },
      }
      batches.set(batch.id, batch)
      return json(batch)
    }
    const [, id, cancel] = /^\/v1\/batches\/([^/]+)(\/cancel)?$/.exec(path) ?? []
    if (id === undefined) return null
    const batch = batches.get(id)
    if (!batch) return refuse(404, `No batch found with id '${id}'.`, 'id')
    if (cancel && method === 'POST') batch.status = 'cancelling'
    else if (method !== 'GET') return null
    return json(batch)
  }

  function complete(id: string): void {
    const batch = batches.get(id)!
    const asked = lines(files.get(batch.input_file_id)!)
    const answers = asked.map(({ custom_id, body }) => ({
      id: `batch_req_${custom_id}`,
      custom_id,
      response: {
        status_code: 200,
        body: { model: body.model, choices: [], usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } },
      },
      error: null,
    }))
    const bytes = Buffer.from(answers.map((answer) => `${JSON.stringify(answer)}\n`).join(''))
    const output = { id: `file-out-${id}`, filename: 'output.jsonl', purpose: 'batch_output', bytes }
    files.set(output.id, output)
    Object.assign(batch, { status: 'completed', output_file_id: output.id, completed_at: 1_750_003_600 })
    batch.request_counts = { total: asked.length, completed: asked.length, failed: 0 }
  }

  return { batches, route, complete }
}

function lines(file: FakeFile): { custom_id: string; body: { model: string } }[] {
  return file.bytes
    .toString()
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line))
}
