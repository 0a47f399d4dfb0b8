import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Json, openStage, type Stage, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

/** Three members that each vendor knows; Gemini's lie deeper. */
const members = {
  openai: ['temperature', 'top_p', 'seed'],
  anthropic: ['temperature', 'top_p', 'top_k'],
  gemini: ['generationConfig.temperature', 'generationConfig.topP', 'generationConfig.topK'],
}

describe.each(vendors)('what an operator wants otherwise in calls to %s', (vendor) => {
  test('goes out with every conversation, the association over its model over its provider', async () => {
    const [first, second, third] = members[vendor] as [string, string, string]
    const fake = await stage.upstream(vendor)
    const sent = (at: number) => {
      const body = JSON.parse(fake.requests[at]!.body) as Json
      return members[vendor].map((path) => path.split('.').reduce((value: Json, step) => value?.[step], body))
    }
    const model = await stage.serve(fake)
    const links: Json[] = await stage.hub.admin('GET', '/api/model-providers')
    const link = links.find((row) => row.model_name === model)!
    const patch = async (path: string, transform: unknown) =>
      expect(await stage.hub.admin('PATCH', path, { transform })).toMatchObject({ transform })
    await patch(`/api/providers/${link.provider_id}`, { set: { [first]: 0.1, [second]: 0.1, [third]: 1 } })
    await patch(`/api/models/${link.model_id}`, {
      set: { [second]: 0.2, [third]: 2 },
      headers: { 'x-for': '{key_id}' },
    })
    await patch(`/api/model-providers/${link.id}`, { set: { [third]: 3 }, defaults: { [first]: 0.9 } })
    expect(await stage.ask({ model })).toMatchObject({ status: 200 })
    expect(sent(0)).toEqual([0.1, 0.2, 3])
    expect(fake.requests[0]!.headers['x-for']).toMatch(/^key_/)
    await patch(`/api/providers/${link.provider_id}`, {})
    await patch(`/api/models/${link.model_id}`, {})
    await stage.ask({ model })
    expect(sent(1)).toEqual([0.9, undefined, 3])
    expect(fake.requests[1]!.headers).not.toHaveProperty('x-for')
  })
})

test('what would send a call elsewhere, or a credential, is refused with its place', async () => {
  const model = await stage.serve(await stage.upstream('openai'))
  const path = `/api/models/${model}`
  for (const transform of [{ set: { model: 'other' } }, { headers: { authorization: 'Bearer x' } }, { sett: {} }]) {
    const refused = await stage.hub.admin('PATCH', path, { transform }).catch(String)
    expect(refused).toMatch(/400/)
    expect(refused).toMatch(/transform/)
  }
})
