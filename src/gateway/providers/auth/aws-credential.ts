import { fail } from '../../../kernel/errors.ts'
import { type AwsKeys, signAwsRequest } from '../../../platform/aws-signature.ts'
import type { Credential, Outside } from '../provider.ts'
import { openApiKey } from '../provider.ts'
import { readJsonSecret, textMember } from './json-secret.ts'

/**
 * `AKID:SECRET[:SESSION]`, or JSON with access_key_id, secret_access_key and session_token (AWS's own spelling is read
 * too), or a Bedrock API key, which is a bearer token:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html
 */
export function openAwsCredential(secret: string, region: string, service: string, outside: Outside): Credential {
  const keys = readAwsKeys(secret)
  if (keys === null) return openApiKey(secret, (key) => ['authorization', `Bearer ${key}`])
  const secrets = [secret, keys.secretAccessKey, ...(keys.sessionToken === null ? [] : [keys.sessionToken])]
  return {
    secrets: () => secrets,
    authorize: ({ method, origin, path, body }) =>
      signAwsRequest({ method, host: new URL(origin).host, path, body, region, service, now: outside.now() }, keys),
  }
}

function readAwsKeys(secret: string): AwsKeys | null {
  const json = readJsonSecret(secret)
  if (json !== null) {
    const accessKeyId = textMember(json, 'access_key_id', 'AccessKeyId', 'aws_access_key_id')
    const secretAccessKey = textMember(json, 'secret_access_key', 'SecretAccessKey', 'aws_secret_access_key')
    const sessionToken = textMember(json, 'session_token', 'SessionToken', 'aws_session_token')
    if (accessKeyId !== null && secretAccessKey !== null) return checked({ accessKeyId, secretAccessKey, sessionToken })
    throw fail('invalid_request', 'api_key is JSON without access_key_id and secret_access_key.', { param: 'api_key' })
  }
  if (!/^A[A-Z0-9]{9,127}:/.test(secret)) return null
  // Neither keys nor tokens of AWS hold a colon.
  const [accessKeyId = '', secretAccessKey = '', sessionToken = null, ...more] = secret.split(':')
  if (secretAccessKey !== '' && sessionToken !== '' && more.length === 0) {
    return checked({ accessKeyId, secretAccessKey, sessionToken })
  }
  throw fail(
    'invalid_request',
    'api_key must be ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN if there is one.',
    {
      param: 'api_key',
    },
  )
}

/** They go into headers. */
function checked(keys: AwsKeys): AwsKeys {
  if (/^[\x21-\x7e]+$/.test(keys.accessKeyId + (keys.sessionToken ?? ''))) return keys
  throw fail('invalid_request', 'api_key holds characters that no key of AWS has.', { param: 'api_key' })
}
