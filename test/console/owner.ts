import { startHub, type TestHub } from '../harness/hub.ts'

export const owner = { email: 'owner@example.com', password: 'correct horse battery staple', name: 'Owner' }

/** The one-time token that the hub's log shows at its first start. */
export function setupTokenOf({ lines }: Pick<TestHub, 'lines'>): string {
  for (const line of lines) {
    const found = /"setup_token":"([^"]+)"/.exec(line)
    if (found !== null) return found[1]!
  }
  throw new Error('the log has shown no set-up token')
}

/** A hub that belongs to `owner`, without an ADMIN_KEY, as people have it. */
export async function startOwnedHub(options: Parameters<typeof startHub>[0] = {}): Promise<TestHub> {
  const hub = await startHub({ ...options, settings: { 'auth.admin_key': '', ...options.settings } })
  const response = await fetch(`${hub.url}/api/auth/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: setupTokenOf(hub), ...owner }),
  })
  if (!response.ok) throw new Error(`the set-up answered ${response.status}: ${await response.text()}`)
  return hub
}
