import { until } from '../harness/control.ts'
import type { TestHub } from '../harness/hub.ts'
import { owner } from './owner.ts'

export type Control = (method: string, path: string, body?: unknown) => Promise<Record<string, unknown>>

/** Who signs in with `password`; each sees what their role may see. */
export const people = [
  { email: 'tenant-admin@example.com', name: 'Tia', role: 'tenant_admin' },
  { email: 'user@example.com', name: 'Uma', role: 'user' },
] as const
export const password = 'a password of somebody else'

/** Asks the control API as whoever signs in. */
export async function controlAs(
  hub: Pick<TestHub, 'url'>,
  { email, password }: { email: string; password: string },
): Promise<Control> {
  const ask = async (method: string, path: string, body?: unknown, token = '') => {
    const response = await fetch(hub.url + path, {
      method,
      headers: {
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
    return response.status === 204 ? {} : ((await response.json()) as Record<string, unknown>)
  }
  const { access_token: token } = await ask('POST', '/api/auth/login', { email, password })
  return (method, path, body) => ask(method, path, body, String(token))
}

/**
 * Puts into a demo hub what its pages have to show: people of each role, a budget, a limit, a receiver, a rotation, an incident, a public check,
 * a call that was routed. Answers the pages that are in no menu.
 */
export async function furnish(
  hub: TestHub,
): Promise<{ control: Control; places: string[]; callId: string; incidentId: string }> {
  const control = await controlAs(hub, owner)
  for (const person of people) await control('POST', '/api/users', { ...person, password, tenant_id: 'hub' })
  const { key, id: keyId } = await control('POST', '/api/keys', { name: 'furniture' })
  await control('POST', '/api/budgets', { scope: 'tenant', scope_id: 'hub', period: 'month', limit_usd: '50' })
  await control('PUT', '/api/on-call/schedules/primary', {
    ...{ zone: 'Asia/Shanghai', starts_on: '2026-01-05', handoff: '09:30' },
    members: ['Ada', '林晓'].map((name) => ({ name, channels: ['phone'] })),
  })
  const incident = await control('POST', '/api/incidents', { title: 'Answers are slow', severity: 'P1' })
  const watched = (await control('POST', '/api/checks', {
    ...{ name: 'The hub itself', type: 'http', parameters: { url: `${hub.url}/livez` }, interval_seconds: 5 },
    is_public: true,
  })) as { id: string }
  await furnishAlerts(control)
  await control('POST', '/api/limits', { scope: 'key', scope_id: String(keyId), rpm: 600 })
  const callId = await callDemo(hub, String(key), { 'x-session-id': 'furniture' })
  await until(
    'the call is in the list',
    async () => (await control('GET', `/api/logs/${callId}`).catch(() => null)) !== null,
  )
  const [provider] = (await control('GET', '/api/providers')) as unknown as { id: string }[]
  const incidentId = String(incident.id)
  const run = await control('POST', '/api/maintenance/jobs/service_status/run')
  return {
    ...{ control, callId, incidentId },
    places: [
      ...[`/calls/${callId}`, `/incidents/${incidentId}`, '/log-tail'],
      ...[`/providers?open=${provider!.id}`, `/checks?open=${watched.id}`, `/maintenance?run=${String(run.id)}`],
      ...['check', 'revisions', 'plane'].map((tab) => `/configuration?tab=${tab}`),
    ],
  }
}

/** Somebody who could be told, and something of which nobody is. Port 9 discards: nothing leaves this machine. */
async function furnishAlerts(control: Control): Promise<void> {
  const channel = await control('POST', '/api/channels', {
    ...{ name: 'ops-hook', type: 'webhook', parameters: { url: 'http://127.0.0.1:9/hook' }, enabled: false },
  })
  await control('POST', '/api/receivers', { name: 'default', targets: [{ channel_id: String(channel.id) }] })
  await control('POST', '/api/silences', {
    ...{ matchers: ['alertname="DiskFull"'], ends_at: Date.now() + 3_600_000, comment: 'The disk is being exchanged' },
  })
}

/** A call to the demo's model; answers its id. */
export async function callDemo(
  { url }: Pick<TestHub, 'url'>,
  key: string,
  headers: Record<string, string> = {},
): Promise<string> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'demo-mini', messages: [{ role: 'user', content: 'hello' }] }),
  })
  await answer.text()
  return answer.headers.get('x-request-id')!
}
