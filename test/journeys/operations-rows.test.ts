import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endpoints } from '../../src/gateway/llm-routes/index.ts'
import { type FakePlatform, startFakePlatform } from '../fake-providers/platform/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

let hub: TestHub
let platform: FakePlatform
let apiKey: string

beforeAll(async () => {
  hub = await startHub()
  platform = await startFakePlatform()
  apiKey = await hub.createKey()
  await hub.serve('m', { type: 'openai', base_url: platform.baseUrl, api_key: platform.apiKey, max_retries: 0 })
})

afterAll(async () => {
  await hub?.stop()
  await platform?.close()
})

/** What costs nothing by the call. A batch's cost is entered when it is over, a realtime session's when it ends. */
const unbilled = ['/v1/models', '/v1/models/{model}', '/v1/files', '/v1/files/{id}', '/v1/files/{id}/content']
const unbilledModels = ['/v1beta/models', '/v1beta/models/{model}']
/** What is kept is looked at, and tokens are counted before they cost. A cancelled run has the row of its beginning. */
const unbilledResponses = ['', '/cancel', '/input_items'].map((rest) => `/v1/responses/{id}${rest}`)
const unbilledBatches = ['/v1/batches', '/v1/batches/{id}', '/v1/batches/{id}/cancel']

test('4.1.3 whatever has no row is known to cost nothing', () => {
  const without = new Set(endpoints.filter(({ isRecorded }) => !isRecorded).map(({ name }) => name))
  expect([...without].sort()).toEqual(
    [...unbilled, ...unbilledModels, ...unbilledResponses, '/v1/responses/input_tokens', ...unbilledBatches].sort(),
  )
})

/** Those that are asked for at one plain address. */
const recorded = endpoints.filter(
  ({ isRecorded, method, paths }) => isRecorded && method === 'POST' && typeof paths[0] === 'string',
)

const send = async (name: string, body: BodyParts, type: string | null) => {
  const headers = { authorization: `Bearer ${apiKey}`, ...(type && { 'content-type': type }) }
  const response = await fetch(hub.url + name, { method: 'POST', headers, body })
  await response.arrayBuffer()
  return response.status
}
type BodyParts = string | FormData

const rowsAt = async (name: string) => (await hub.logs()).filter((row) => row.endpoint === name)

describe.each(recorded)('4.1.3 every billable route writes a row: $name', ({ name, paths }) => {
  test('for what is refused', async () => {
    const before = (await rowsAt(name)).length
    expect(await send(paths[0] as string, '{"model":"nobody"}', 'application/json')).toBeGreaterThanOrEqual(400)
    const rows = await rowsAt(name)
    expect(rows.length).toBe(before + 1)
    expect(rows[0]).toMatchObject({ outcome: 'refused' })
  })
})

const everything = {
  ...{ model: 'm', input: 'a', prompt: 'a', voice: 'alloy', messages: [{ role: 'user', content: 'a' }] },
}

test.each(recorded.filter(({ name }) => name.startsWith('/v1/') && /embed|images|audio|moderations/.test(name)))(
  '4.1.3 every billable route writes a row: $name, for what is answered',
  async ({ name, takesUploads }) => {
    const before = (await rowsAt(name)).length
    const form = new FormData()
    for (const [field, value] of Object.entries({ model: 'm', prompt: 'a' })) form.append(field, value)
    const file = name.includes('images') ? 'image' : 'file'
    form.append(file, new Blob([Buffer.alloc(100)]), 'a.bin')
    const body = takesUploads ? form : JSON.stringify(everything)
    expect(await send(name, body, takesUploads ? null : 'application/json')).toBe(200)
    const rows = await rowsAt(name)
    expect(rows.length).toBe(before + 1)
    expect(rows[0]).toMatchObject({ outcome: 'success', model_asked: 'm', provider_type: 'openai' })
  },
)
