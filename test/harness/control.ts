/** What a test does to a running hub over its control API, as the holder of ADMIN_KEY. */
export type Control = {
  /** Throws unless it succeeds. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read replies as a program without our types would
  admin(method: string, path: string, body?: unknown): Promise<any>
  /** A new API key's text and id. */
  createKey(input?: Record<string, unknown>): Promise<{ id: string; key: string }>
  /** Makes `model` served by a provider of this type and address, under the same name. */
  serveModel(model: string, provider: { type: string; base_url: string } & Record<string, unknown>): Promise<void>
  /** Resolves when the store has every recorded row. */
  settled(): Promise<void>
}

export function createControl(url: () => string, adminKey: string): Control {
  let number = 0

  const admin: Control['admin'] = async (method, path, body) => {
    const response = await fetch(url() + path, {
      method,
      headers: {
        authorization: `Bearer ${adminKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  return {
    admin,
    createKey: (input) => admin('POST', '/api/keys', { name: `test-${++number}`, ...input }),
    async serveModel(model, provider) {
      const created = await admin('POST', '/api/providers', { name: `provider-${++number}`, ...provider })
      await admin('POST', '/api/models', { name: model })
      await admin('POST', '/api/model-providers', { model_id: model, provider_id: created.id, provider_model: model })
    },
    async settled() {
      await until('the store has every row', async () => (await admin('GET', '/api/logs?limit=1')).pending === 0)
    },
  }
}

/** Asks again and again until the answer is yes; rejects, naming what was waited for, when it takes too long. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  { limitMs = 30_000, everyMs = 25 } = {},
): Promise<void> {
  for (const endsAt = performance.now() + limitMs; performance.now() < endsAt; ) {
    if (await isSo()) return
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
  throw new Error(`Within ${limitMs} ms it did not come true that ${what}`)
}
