import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { fail } from '../../../kernel/errors.ts'
import { type Credential, type Outside, openApiKey } from '../provider.ts'
import { readJsonSecret, textMember } from './json-secret.ts'
import { openTokenCredential } from './token-credential.ts'

const scope = 'https://www.googleapis.com/auth/cloud-platform'

/** The JSON file of a service account, or an access token, or (for Gemini only) an API key of Google Cloud. */
export function openGoogleCredential(secret: string, outside: Outside): Credential {
  const account = readJsonSecret(secret)
  if (account === null) {
    const isToken = secret.startsWith('ya29.')
    return openApiKey(secret, (key) => (isToken ? ['authorization', `Bearer ${key}`] : ['x-goog-api-key', key]))
  }
  const email = textMember(account, 'client_email')
  const pem = textMember(account, 'private_key')
  if (account.type !== 'service_account' || email === null || pem === null) {
    throw fail(
      'invalid_request',
      'api_key must be the JSON key of a service account: type "service_account", client_email and private_key.',
      { param: 'api_key' },
    )
  }
  const key = readPrivateKey(pem)
  const keyId = textMember(account, 'private_key_id')
  const url = textMember(account, 'token_uri') ?? 'https://oauth2.googleapis.com/token'
  return openTokenCredential({
    issuer: "Google's token service",
    secrets: [secret, pem],
    outside,
    writeRequest: (now) => ({
      url,
      form: {
        grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
        assertion: writeAssertion({ email, keyId, audience: url, key, now }),
      },
    }),
  })
}

/** https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests */
function writeAssertion(claims: {
  email: string
  keyId: string | null
  audience: string
  key: KeyObject
  now: number
}): string {
  const { email, keyId, audience, key } = claims
  // A little in the past: clocks differ, and Google refuses what was issued in its future.
  const issued = Math.floor(claims.now / 1000) - 10
  const head = { alg: 'RS256', typ: 'JWT', ...(keyId === null ? {} : { kid: keyId }) }
  const body = { iss: email, scope, aud: audience, iat: issued, exp: issued + 3600 }
  const text = `${encode(head)}.${encode(body)}`
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function readPrivateKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'rsa') return key
  } catch {
    // Falls through: the library's words say no more.
  }
  throw fail('invalid_request', 'private_key of api_key is not an RSA key in PEM form.', { param: 'api_key' })
}
