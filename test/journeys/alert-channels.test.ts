import { afterAll, beforeAll, expect, test } from 'vitest'
import { parametersFor, startVendors, type VendorServer } from '../../src/alerts/channels/testing-vendors.ts'
import { startHub, type TestHub } from '../harness/hub.ts'

let hub: TestHub
let vendors: VendorServer

beforeAll(async () => {
  vendors = await startVendors()
  hub = await startHub()
})
afterAll(async () => {
  await hub.stop()
  await vendors.close()
})

const create = (type: string, wish: object = {}) =>
  hub.admin('POST', '/api/channels', {
    name: `${type} ${Math.random()}`,
    type,
    parameters: parametersFor(type, vendors.url),
    ...wish,
  })

test('a channel is made, shown without its secrets, tested, and the ledger has the test', async () => {
  const made = await create('dingtalk')
  expect(made).toMatchObject({
    type: 'dingtalk',
    state: 'untried',
    tenant_id: 'hub',
    parameters: { url: '********', secret: '********' },
  })
  const tested = await hub.admin('POST', `/api/channels/${made.id}/test`)
  expect(tested).toMatchObject({ delivered: true, reason: '', status: 200, code: '0', template_error: '' })
  expect(vendors.received.at(-1)).toMatchObject({ vendor: 'dingtalk', fault: '' })
  expect(await hub.admin('GET', `/api/channels/${made.id}`)).toMatchObject({ state: 'ok', failures: 0 })
  const { data } = await hub.admin('GET', `/api/deliveries?channel_id=${made.id}`)
  expect(data).toMatchObject([
    {
      channel: made.name,
      type: 'dingtalk',
      state: 'delivered',
      notify_reason: 'test',
      attempts: [{ http_status: 200, body_code: '0' }],
    },
  ])
  expect(await hub.admin('GET', `/api/deliveries?trace_id=${data[0].trace_id}`)).toMatchObject({
    data: [{ id: data[0].id }],
  })
})

test('a test that fails says why, three make the channel broken, and one that arrives heals it', async () => {
  const { id } = await create('feishu', { parameters: { ...parametersFor('feishu', vendors.url), secret: 'wrong' } })
  for (let i = 0; i < 3; i++) {
    expect(await hub.admin('POST', `/api/channels/${id}/test`)).toMatchObject({
      delivered: false,
      reason: 'credentials',
      code: '19021',
    })
  }
  expect(await hub.admin('GET', `/api/channels/${id}`)).toMatchObject({
    state: 'broken',
    failures: 3,
    last_reason: 'credentials',
  })
  await hub.admin('PATCH', `/api/channels/${id}`, { parameters: parametersFor('feishu', vendors.url) })
  expect(await hub.admin('POST', `/api/channels/${id}/test`)).toMatchObject({ delivered: true })
  expect(await hub.admin('GET', `/api/channels/${id}`)).toMatchObject({ state: 'ok', failures: 0, broken_since: null })
})

test('a test of a ticket or a page ends what it began', async () => {
  for (const type of ['pagerduty', 'jira', 'ticket']) {
    const { id } = await create(type)
    const before = vendors.received.length
    expect(await hub.admin('POST', `/api/channels/${id}/test`)).toMatchObject({ delivered: true })
    const got = vendors.received.slice(before)
    expect(got.every(({ fault }) => fault === '')).toBe(true)
    const last = got.at(-1)!
    expect(type === 'pagerduty' ? JSON.parse(last.body).event_action : last.path).toMatch(/resolve|transitions|close/)
  }
})

test('a preview shows what would be sent, in either language, and nothing is sent', async () => {
  const { id } = await create('slack')
  const before = vendors.received.length
  const chinese = await hub.admin('POST', `/api/channels/${id}/preview`, { alerts: 300 })
  expect(chinese.text).toContain('追踪号')
  expect(chinese.cut_alerts).toBeGreaterThan(250)
  const wish = { language: 'en', body_template: '# {{name}}\n{{#alerts}}\n- {{labels.instance}}\n{{/alerts}}' }
  const english = await hub.admin('POST', `/api/channels/${id}/preview`, wish)
  expect(english).toMatchObject({ template_error: '', cut_alerts: 0 })
  expect(english.text).toContain('• example-1')
  expect(JSON.stringify([chinese, english])).not.toContain('slack-hook')
  expect(vendors.received.length).toBe(before)
})

test('what is wrong with a wish is said by name: type, parameter, template, address', async () => {
  for (const [wish, told] of [
    [{ type: 'pigeon', parameters: {} }, /there is no channel type pigeon/],
    [{ type: 'pagerduty', parameters: { routing_key: 'short' } }, /parameters.routing_key/],
    [{ type: 'slack', parameters: { url: 'http://169.254.169.254/x' } }, /metadata/],
    [
      { type: 'email', parameters: { to: ['ana@example.com'] }, body_template: 'x\n{{nmae}}' },
      /line 2: there is no nmae/,
    ],
  ] as const) {
    const answer = await fetch(`${hub.url}/api/channels`, {
      method: 'POST',
      headers: { authorization: `Bearer ${hub.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'wrong', ...wish }),
    })
    expect(answer.status).toBe(400)
    expect(((await answer.json()) as { detail: string }).detail).toMatch(told)
  }
})

test('every kind of channel is described for forms, in two languages', async () => {
  const { data } = await hub.admin('GET', '/api/channel-types')
  expect(data).toHaveLength(15)
  for (const { description, parameters } of data) {
    expect(description.zh).not.toBe('')
    for (const field of Object.values(parameters.properties) as { description?: string; zh?: string }[]) {
      expect([field.description, field.zh].every((text) => typeof text === 'string' && text !== '')).toBe(true)
    }
  }
})
