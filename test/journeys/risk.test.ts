import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

type Action = { id: string; kind: string; state: string }

let hub: TestHub
let upstream: FakeProvider
let key: { id: string; key: string }
let findingId: string

const ask = (model = 'dear') =>
  fetch(`${hub.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
  })

/** Of the one finding, by its kind. */
async function action(kind: string): Promise<Action> {
  const { actions } = await hub.admin('GET', `/api/risk/findings/${findingId}`)
  return actions.find((each: Action) => each.kind === kind)
}

const decide = async (kind: string, verb: 'approve' | 'refuse' | 'undo') =>
  hub.admin('POST', `/api/risk/actions/${(await action(kind)).id}/${verb}`)

const reaches = (kind: string, state: string) =>
  until(`${kind} is ${state}`, async () => (await action(kind))?.state === state, { limitMs: 30_000 })

beforeAll(async () => {
  upstream = await startFakeProvider({ kind: 'openai' })
  hub = await startHub({ settings: { 'risk.interval_seconds': 1 } })
  for (const model of ['dear', 'cheap']) {
    await hub.serve(model, { type: 'openai', base_url: upstream.baseUrl, api_key: upstream.apiKey })
  }
  await hub.admin('PATCH', '/api/risk/rules/burst', {
    params: { limit_per_token: 3, window_sec: 3600, usual_factor: 0 },
    steps: [
      { kind: 'note', approval: 'auto' },
      { kind: 'throttle', rpm: 0 },
      { kind: 'downgrade', model: 'cheap' },
      { kind: 'suspend' },
    ],
  })
  key = await hub.admin('POST', '/api/keys', { name: 'a key that runs away' })
  for (let call = 0; call < 4; call++) expect((await ask()).status).toBe(200)
  const found = async () => {
    const { data } = await hub.admin('GET', '/api/risk/findings?rule=burst&status=open')
    return data.find((each: { key_id: string }) => each.key_id === key.id)
  }
  // A minute is judged when it is over.
  await until('the rule spoke of the key', async () => (await found()) !== undefined, { limitMs: 100_000 })
  findingId = (await found()).id
  await reaches('suspend', 'proposed')
}, 150_000)
afterAll(async () => {
  await hub?.stop()
  await upstream?.close()
})

test('a finding has its evidence, and nothing that touches a caller is done before somebody agrees', async () => {
  const finding = await hub.admin('GET', `/api/risk/findings/${findingId}`)
  expect(finding).toMatchObject({ rule: 'burst', status: 'open', key_id: key.id })
  expect(finding.docs).toBe('docs/runbook/risk.md#burst')
  expect(JSON.stringify(finding)).not.toContain(key.key)
  await reaches('note', 'done')
  expect((await ask()).status).toBe(200)
})

test('a throttled key is told when to come again, and is served as before once that is undone', async () => {
  await decide('throttle', 'approve')
  await reaches('throttle', 'done')
  const refused = await ask()
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  await decide('throttle', 'undo')
  await reaches('throttle', 'undone')
  expect((await ask()).status).toBe(200)
})

test('a downgraded key is served by the other model, and the ledger has both names', async () => {
  await decide('downgrade', 'approve')
  await reaches('downgrade', 'done')
  expect((await ask()).status).toBe(200)
  const [row] = await hub.logs()
  expect(row).toMatchObject({ model_served: 'cheap' })
  await decide('downgrade', 'undo')
  await reaches('downgrade', 'undone')
  expect((await ask()).status).toBe(200)
  expect((await hub.logs())[0]).toMatchObject({ model_served: 'dear' })
})

test('a suspended key is refused until that is undone; the audit log has both', async () => {
  await decide('suspend', 'approve')
  await reaches('suspend', 'done')
  expect((await ask()).status).toBe(401)
  await decide('suspend', 'undo')
  await reaches('suspend', 'undone')
  expect((await ask()).status).toBe(200)
  const { data } = await hub.admin('GET', '/api/audit?limit=200')
  const said = data.map((each: { action: string }) => each.action)
  expect(said).toContain('risk.suspend')
  expect(said).toContain('risk.suspend.undo')
})

test('a backtest says how often a rule would have fired, and seed 000 is answered in its shape', async () => {
  const back = { days: 1, only: ['burst'] }
  const told = await hub.admin('POST', '/api/risk/backtest', back)
  expect(told.summary).toMatch(/^would have fired [1-9]\d* times? in 1 day$/)
  const never = { burst: { params: { limit_per_token: 10_000 } } }
  const other = await hub.admin('POST', '/api/risk/backtest', { ...back, rules: never })
  expect(other.summary).toBe('would have fired 0 times in 1 day')

  const range = `start_ms=${Date.now() - 3_600_000}&end_ms=${Date.now() + 60_000}`
  const anomalies = await hub.admin('GET', `/api/stats/anomalies?${range}&rule=burst&limit_per_token=3&window_sec=3600`)
  expect(anomalies).toMatchObject({ rule: 'burst', total_count: 1 })
  expect(anomalies.data).toHaveLength(1)
})

test('what the ancestor had in rules.yaml is taken over, and what is no such file is refused and changes nothing', async () => {
  const before = await hub.admin('GET', '/api/risk/rules')
  await expect(hub.admin('POST', '/api/risk/rules/import', { yaml: 'rules: [' })).rejects.toThrow('400')
  expect(await hub.admin('GET', '/api/risk/rules')).toEqual(before)
  const yaml = 'rules:\n  burst:\n    enabled: true\n    window_sec: 60\n    limit_per_token: 77\n'
  await hub.admin('POST', '/api/risk/rules/import', { yaml })
  const after = await hub.admin('GET', '/api/risk/rules')
  expect(JSON.stringify(after)).toContain('"limit_per_token":77')
})
