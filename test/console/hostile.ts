import { until } from '../harness/control.ts'
import type { Control } from './furnished.ts'

/** Runs where a page takes text for HTML. */
export const hostile = '<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>'

/** Puts it wherever people, programs and models may put text. Answers the pages that show it. */
export async function plantHostile(url: string, control: Control): Promise<string[]> {
  const { key } = await control('POST', '/api/keys', { name: hostile })
  await control('POST', '/api/users', {
    email: 'hostile@example.com',
    password: 'a long enough password',
    name: hostile,
  })
  await control('POST', '/api/models', { name: 'hostile', remark: hostile })
  const incident = await control('POST', '/api/incidents', { title: hostile, severity: 'P3', description: hostile })
  await control('POST', `/api/incidents/${incident.id}/notes`, { text: hostile })
  await control('POST', '/api/checks', { name: hostile, type: 'http', parameters: { url: `${url}/livez` } })
  await control('PUT', '/api/on-call/schedules/hostile', {
    ...{ zone: 'UTC', starts_on: '2026-01-05', members: [{ name: hostile, channels: ['phone'] }] },
  })
  const [service] = (await control('GET', '/api/registry/services')) as unknown as { id: string }[]
  await control('PUT', `/api/registry/services/${service!.id}`, {
    ...{ display_name: hostile, description: hostile },
    endpoints: [{ method: 'GET', path: '/items', description: hostile, is_public: true }],
  })
  // A name of a model that nobody has, an agent and a client stand in the ledger and in the log.
  const called = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      ...{ authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...{ 'user-agent': hostile, 'x-gatehouse-agent': hostile },
    },
    body: JSON.stringify({ model: hostile, messages: [{ role: 'user', content: hostile }] }),
  })
  await called.text()
  const callId = called.headers.get('x-request-id')
  await until(
    'the call is in the list',
    async () => (await control('GET', `/api/logs/${callId}`).catch(() => null)) !== null,
  )
  return [
    ...['/keys', '/users', '/models', '/incidents', `/incidents/${incident.id}`, '/checks', '/health', '/on-call'],
    ...['/calls', '/logs', '/log-tail', `/calls/${callId}`, '/services', `/services?open=${service!.id}`],
  ]
}
