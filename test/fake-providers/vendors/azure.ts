import type { VendorError } from '../behaviour.ts'
import { openai } from './openai.ts'
import type { RawRequest, Vendor, VendorEvent } from './vendor.ts'

export type AzureOptions = {
  /** null: the addresses of v1, which take no version. */
  apiVersion: string | null
  apiKey: string
  application?: { tenant_id: string; client_id: string; client_secret: string }
}

/** https://learn.microsoft.com/azure/ai-foundry/openai/reference, with Entra ID's token endpoint beside it. */
export function createAzure({ apiVersion, apiKey, application }: AzureOptions): Vendor & { revokeTokens(): void } {
  const tokens = new Set<string>()
  let given = 0

  return {
    ...openai,
    basePath: '',
    revokeTokens: () => tokens.clear(),

    route(method, path, query) {
      const isVersionRight = query.get('api-version') === apiVersion
      const dated = /^\/openai\/deployments\/([^/]+)\/chat\/completions$/.exec(path)
      const model = dated?.[1] ?? null
      const isChat = apiVersion === null ? path === '/openai/v1/chat/completions' : dated !== null
      if (method === 'POST' && isChat && isVersionRight)
        return { kind: 'chat', model, stream: null, isJsonArray: false }
      const responses = apiVersion === null ? '/openai/v1/responses' : '/openai/responses'
      if (method === 'POST' && path === responses && isVersionRight)
        return { kind: 'chat', model: null, stream: null, isJsonArray: false }
      const list = apiVersion === null ? '/openai/v1/models' : '/openai/models'
      return method === 'GET' && path === list && isVersionRight ? { kind: 'models' } : null
    },

    serveAside({ method, url, body }: RawRequest) {
      if (application === undefined || url !== `/${application.tenant_id}/oauth2/v2.0/token`) return null
      const form = Object.fromEntries(new URLSearchParams(body))
      const isRight =
        method === 'POST' &&
        form.grant_type === 'client_credentials' &&
        form.scope === 'https://cognitiveservices.azure.com/.default' &&
        form.client_id === application.client_id &&
        form.client_secret === application.client_secret
      if (!isRight)
        return { status: 401, body: { error: 'invalid_client', error_description: `AADSTS7000215: ${body}` } }
      const token = `eyJfake.${++given}.entra`
      tokens.add(token)
      return { status: 200, body: { token_type: 'Bearer', expires_in: 3599, access_token: token } }
    },

    checkAccess({ headers }): VendorError | null {
      if (headers['api-key'] === apiKey && headers.authorization === undefined) return null
      const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
      if (token !== undefined && headers['api-key'] === undefined && tokens.has(token)) return null
      const key = headers['api-key'] ?? token
      return { status: 401, code: '401', message: `Access denied due to invalid subscription key ${key}.` }
    },

    /** Before anything else it tells what its filter thinks of the prompt, in a chunk that names no model. */
    writeEvents(plan): VendorEvent[] {
      const filter = {
        choices: [],
        created: 0,
        id: '',
        model: '',
        object: '',
        prompt_filter_results: [{ prompt_index: 0 }],
      }
      return [{ data: filter }, ...openai.writeEvents(plan)]
    },

    headers: (requestId) => ({ 'apim-request-id': requestId, 'x-ms-region': 'Fake Central' }),
  }
}
