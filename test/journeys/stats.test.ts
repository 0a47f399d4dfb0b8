import { readSheet } from 'read-excel-file/node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Json, openStage, type Stage } from './stage.ts'

let stage: Stage
let model: string
const from = Date.now() - 3_600_000
const to = from + 2 * 3_600_000
const range = `start_ms=${from}&end_ms=${to}`

beforeAll(async () => {
  stage = await openStage()
  const answer = { answer: { text: 'ok', usage: { tokensIn: 100, tokensOut: 20, tokensCachedRead: 0 } } }
  const fake = await stage.upstream('openai', answer, answer, { error: { status: 400 } })
  model = await stage.serve(fake, { provider: { max_retries: 0 } })
  for (let call = 0; call < 3; call++) await stage.ask({ model })
  await stage.ask({ model: '=cmd|/c calc!A1,"x"' })
  await stage.hub.logs()
})

afterAll(() => stage?.close())

const get = (path: string): Promise<Json> => stage.hub.admin('GET', path)

async function download(path: string): Promise<{ text: string; headers: Headers; status: number }> {
  const response = await fetch(stage.hub.url + path, { headers: { 'x-admin-key': stage.hub.adminKey } })
  const bytes = Buffer.from(await response.arrayBuffer())
  return { text: bytes.toString('utf8'), headers: response.headers, status: response.status }
}

test('calls through the gateway stand in every report, and in each the same', async () => {
  const sums = { reqs: 4, tokens: 240, successes: 2 }
  const kpi = await get(`/api/stats/kpi?${range}`)
  expect(kpi).toMatchObject({ data: { ...sums, tokens_cnt: 1, refused: 1 }, previous: { reqs: 0, success_rate: null } })
  expect(kpi).toMatchObject({ as_of: expect.any(Number), lag_ms: expect.any(Number), pending: 0, is_exact: true })
  for (const slot of [60, 900, 3600]) {
    const { data, total_points } = await get(`/api/stats/series?${range}&slot_sec=${slot}`)
    expect(data.length).toBe(total_points)
    expect(data.reduce((sum: number, point: Json) => sum + point.reqs, 0)).toBe(4)
    expect(data[0].bucket).toBe(from - (from % (slot * 1000)))
    expect(data.at(-1).bucket).toBeLessThan(to)
  }
  const top = await get(`/api/stats/top?${range}&by=model&metric=tokens`)
  expect(top).toMatchObject({ by: 'model', metric: 'tokens', limit: 50 })
  expect(top.data[0]).toMatchObject({ tokens: 240, reqs: 3 })
  expect((await get(`/api/stats/top?${range}&by=token&metric=reqs`)).data).toMatchObject([
    { token_id: expect.stringMatching(/^key_/), token_name: expect.stringMatching(/./), reqs: 4 },
  ])
  expect((await get(`/api/stats/top?${range}&by=channel&metric=reqs`)).data[0]).toMatchObject({
    channel_id: expect.stringMatching(/^prv_/),
    channel_name: expect.stringMatching(/./),
  })
  const heat = await get(`/api/stats/heatmap?${range}&time_zone=Asia/Kathmandu&model_asked=${model}`)
  expect(heat.data.reduce((sum: number, cell: Json) => sum + cell.reqs, 0)).toBe(3)
  const asked = await stage.hub.admin('POST', '/api/stats/query', {
    ...{ from, to: new Date(to).toISOString(), granularity: 'month', time_zone: 'America/New_York' },
    ...{ dimensions: ['tenant', 'status_class'], measures: ['requests', 'tokens', 'distinct_keys', 'latency_ms_p95'] },
    ...{ filters: { model_asked: [model] }, order_by: 'tokens' },
  })
  expect(asked.data[0]).toMatchObject({ status_class: '2xx', requests: 2, tokens: 240, distinct_keys: 1 })
  expect(asked).toMatchObject({ has_more: false, complete_from: null })
})

test('an export opens in a spreadsheet, holds what the report does and runs nothing', async () => {
  const csv = await download(`/api/export/csv?query_type=requests&${range}`)
  expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8')
  expect(csv.headers.get('content-disposition')).toBe(`attachment; filename="requests_data_${from}_${to}.csv"`)
  expect(csv.text.codePointAt(0)).toBe(0xfeff)
  expect(csv.text.trimEnd().split('\r\n').length).toBe(5)
  expect(csv.text).toContain(`,"'=cmd|/c calc!A1,""x""",`)

  const narrowed = await download(`/api/export/csv?query_type=top&${range}&by=model_asked&metric=reqs&limit=1`)
  expect(narrowed.text.slice(1).split('\r\n')[1]).toMatch(new RegExp(`^${model},3,240,`))

  const json = await download(`/api/export/json?query_type=series&${range}&slot_sec=900&model_asked=${model}`)
  const parsed = JSON.parse(json.text)
  expect(parsed.data).toEqual((await get(`/api/stats/series?${range}&slot_sec=900&model_asked=${model}`)).data)
  expect(parsed.as_of).toEqual(expect.any(Number))

  const empty = await download(`/api/export/csv?query_type=top&start_ms=1&end_ms=2`)
  expect(empty.text).toMatch(/^\uFEFFuser_id,username,reqs,tokens,[a-z_,]+\r\n$/)
})

test('a workbook holds what the report does, whatever is asked for and with every filter', async () => {
  const filters = `&model_asked=${model}&stream=0`
  const workbook = async (query: string) => {
    const response = await fetch(`${stage.hub.url}/api/export/xlsx?${query}`, {
      headers: { 'x-admin-key': stage.hub.adminKey },
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    ])
    const [heading, ...rows] = await readSheet(Buffer.from(await response.arrayBuffer()))
    const found = rows.map((cells) => Object.fromEntries(heading!.map((name, index) => [String(name), cells[index]])))
    return { found, name: response.headers.get('content-disposition') }
  }
  for (const query of ['series', 'top&by=model&metric=reqs&limit=5', 'heatmap&time_zone=Asia/Shanghai', 'requests']) {
    const asked = `query_type=${query}&${range}${filters}`
    const { data } = JSON.parse((await download(`/api/export/json?${asked}`)).text)
    const { found, name } = await workbook(asked)
    expect(name).toMatch(new RegExp(`filename="${query.split('&')[0]}_[a-z_]+_${from}_${to}.xlsx"$`))
    expect(found.length).toBe(data.length)
    const key = query === 'requests' ? 'tokens_in' : 'reqs'
    expect(found.map((row) => row[key])).toEqual(data.map((row: Json) => row[key]))
    const sum = found.reduce((all, row) => all + Number(query === 'requests' ? 1 : row.reqs), 0)
    expect([query, sum]).toEqual([query, 3])
  }
  const { found } = await workbook(`query_type=requests&${range}`)
  expect(found.map((row) => row.model_asked)).toContain('=cmd|/c calc!A1,"x"')
  expect(found[0]!.started_at).toBeInstanceOf(Date)
})

test('AgentChat’s four paths answer in its shape', async () => {
  const post = (path: string, body: object = {}) => stage.hub.admin('POST', path, body)
  const { models, day } = await (async () => {
    const { data, ...envelope } = await get('/api/v1/usage/models_list')
    expect(envelope).toEqual({ status_code: 200, status_message: 'SUCCESS' })
    const usage = await post('/api/v1/usage', { delta_days: 2 })
    expect(usage).toMatchObject({ status_code: 200, status_message: 'SUCCESS' })
    return { models: data as string[], day: usage.data }
  })()
  expect(models).toHaveLength(1)
  const sums = { input_tokens: 200, output_tokens: 40, total_tokens: 240 }
  expect(Object.values(day)).toEqual([{ agent: { 未指定agent: sums }, model: { [models[0]!]: sums } }])
  const counted = await post('/api/v1/usage_count', { granularity: 'month', time_zone: 'Asia/Shanghai' })
  expect(Object.keys(counted.data)[0]).toMatch(/^\d{4}-\d{2}-01$/)
  expect(Object.values(counted.data)).toEqual([{ agent: { 未指定agent: 3 }, model: { [models[0]!]: 3 } }])
  expect((await post('/api/v1/usage_count', { agent: 'nobody' })).data).toEqual({})
  expect((await get('/api/v1/usage/agents_list')).data).toEqual([])
})

test('the ancestor answered errors with 200, took negative days for none and broke over many', async () => {
  const ask = async (body: object) => {
    const headers = { 'x-admin-key': stage.hub.adminKey, 'content-type': 'application/json' }
    const response = await fetch(`${stage.hub.url}/api/v1/usage`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    })
    return [response.status, await response.text()] as const
  }
  for (const body of [{ delta_days: -1 }, { delta_days: 1e12 }, { delta_days: 'many' }, { colour: 'red' }]) {
    const [status, text] = await ask(body)
    expect([status, text]).toEqual([400, expect.stringContaining(Object.keys(body)[0]!)])
  }
  expect((await ask({ delta_days: 36_500 }))[0]).toBe(200)
  expect((await fetch(`${stage.hub.url}/api/v1/usage/models_list`)).status).toBe(401)
})

test.each([
  ['/api/stats/series?start_ms=5&end_ms=5', 'end_ms'],
  ['/api/stats/series?start_ms=5&end_ms=900&slot_sec=61', 'whole minutes'],
  ['/api/stats/series?start_ms=0&end_ms=300000000000&slot_sec=60', 'buckets'],
  ['/api/stats/series?end_ms=5', 'start_ms'],
  ['/api/stats/top?start_ms=5&end_ms=900&by=colour&metric=tokens', 'by'],
  ['/api/stats/heatmap?start_ms=5&end_ms=900&time_zone=Mars/Olympus', 'time zone'],
  ['/api/stats/kpi?start_ms=5&end_ms=900&colour=red', 'colour'],
  ['/api/export/csv?start_ms=5&end_ms=900&query_type=anomalies', 'query_type'],
])('%s is refused, and told why', async (path, why) => {
  const { status, text } = await download(path)
  expect(status).toBe(400)
  expect(text).toContain(why)
})

test('nobody asks without being somebody', async () => {
  for (const path of ['/api/stats/kpi', '/api/export/csv?query_type=top']) {
    expect((await fetch(`${stage.hub.url}${path}`)).status).toBe(401)
  }
})
