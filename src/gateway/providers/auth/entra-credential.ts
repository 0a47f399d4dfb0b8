import { fail } from '../../../kernel/errors.ts'
import { type Credential, type Outside, openApiKey } from '../provider.ts'
import { readJsonSecret, textMember } from './json-secret.ts'
import { openTokenCredential } from './token-credential.ts'

/**
 * A key of the resource, or an access token of Entra ID (a JWT), or JSON with tenant_id, client_id and client_secret of
 * an application: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
 */
export function openAzureCredential(
  secret: string,
  entra: { authority: string; scope: string },
  outside: Outside,
): Credential {
  const application = readJsonSecret(secret)
  if (application === null) {
    const isToken = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(secret)
    return openApiKey(secret, (key) => (isToken ? ['authorization', `Bearer ${key}`] : ['api-key', key]))
  }
  const tenant = textMember(application, 'tenant_id')
  const clientId = textMember(application, 'client_id')
  const clientSecret = textMember(application, 'client_secret')
  if (tenant === null || clientId === null || clientSecret === null) {
    throw fail('invalid_request', 'api_key is JSON without tenant_id, client_id and client_secret.', {
      param: 'api_key',
    })
  }
  return openTokenCredential({
    issuer: 'Entra ID',
    secrets: [secret, clientSecret],
    outside,
    writeRequest: () => ({
      url: `${entra.authority.replace(/\/+$/, '')}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`,
      form: {
        grant_type: 'client_credentials',
        client_id: clientId,
        client_secret: clientSecret,
        scope: entra.scope,
      },
    }),
  })
}
