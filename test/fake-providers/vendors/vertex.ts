import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import type { VendorError } from '../behaviour.ts'
import { anthropic } from './anthropic.ts'
import { gemini } from './gemini.ts'
import type { Json, Vendor } from './vendor.ts'

export type Vertex = Vendor & {
  /** The key file of the only account it knows. */
  accountFile(origin: string): string
  /** Every token given so far is refused from now on. */
  revokeTokens(): void
  tokensGiven(): number
}

const email = 'hub@fake-project.iam.gserviceaccount.com'

/** Vertex AI with one publisher's models, and Google's token endpoint beside it. */
export function createVertex(publisher: 'anthropic' | 'google', place: { project: string; location: string }): Vertex {
  const vendor = publisher === 'anthropic' ? anthropic : gemini
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const tokens = new Set<string>()
  let given = 0
  const models = `/v1/projects/${place.project}/locations/${place.location}/publishers/${publisher}/models/`
  const verbs =
    publisher === 'anthropic'
      ? /^(.+):(rawPredict|streamRawPredict)$/
      : /^(.+):(generateContent|streamGenerateContent)$/

  return {
    ...vendor,
    basePath: '',
    accountFile: (origin) =>
      JSON.stringify({
        type: 'service_account',
        project_id: place.project,
        private_key_id: 'fake-key-1',
        private_key: privateKey,
        client_email: email,
        token_uri: `${origin}/token`,
      }),
    revokeTokens: () => tokens.clear(),
    tokensGiven: () => given,

    serveAside({ method, url, body, origin }) {
      if (url !== '/token') return null
      const form = Object.fromEntries(new URLSearchParams(body))
      const complaint =
        method !== 'POST' || form.grant_type !== 'urn:ietf:params:oauth:grant-type:jwt-bearer'
          ? 'unsupported_grant_type'
          : refuseAssertion(form.assertion ?? '', publicKey, `${origin}/token`)
      if (complaint !== null)
        return { status: 400, body: { error: complaint, error_description: `Bad ${form.assertion}` } }
      const token = `ya29.fake-${++given}-${'x'.repeat(40)}`
      tokens.add(token)
      return { status: 200, body: { access_token: token, expires_in: 3599, token_type: 'Bearer' } }
    },

    checkAccess({ headers }): VendorError | null {
      const token = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
      if (token !== undefined && tokens.has(token) && headers['x-goog-api-key'] === undefined) return null
      return {
        status: 401,
        type: 'UNAUTHENTICATED',
        message: `Request had invalid authentication credentials ${token}.`,
      }
    },

    route(method, path, query) {
      if (method === 'GET' && path === `/v1beta1/publishers/${publisher}/models`) return { kind: 'models' }
      const call = path.startsWith(models) ? verbs.exec(path.slice(models.length)) : null
      if (method !== 'POST' || call === null) return null
      const stream = call[2]!.startsWith('stream')
      return {
        kind: 'chat',
        model: call[1]!,
        stream,
        isJsonArray: publisher === 'google' && stream && query.get('alt') !== 'sse',
      }
    },

    refuse(body, headers, signatures) {
      if (publisher === 'google') return vendor.refuse(body, headers, signatures)
      if (body.anthropic_version !== 'vertex-2023-10-16') return 'anthropic_version: Field required'
      if ('model' in body) return 'model: Extra inputs are not permitted'
      const { anthropic_version, ...rest } = body
      return vendor.refuse({ ...rest, model: 'in the address' }, { 'anthropic-version': 'in the body' }, signatures)
    },

    // The platform itself speaks Google's envelope, Claude's refusals come in Anthropic's.
    writeError: (error) => (error.status === 401 ? gemini.writeError(error) : vendor.writeError(error)),

    writeModels(ids, query) {
      const from = Number(query.get('pageToken') ?? 0)
      const names = ids.slice(from, from + 2).map((id) => ({ name: `publishers/${publisher}/models/${id}` }))
      return { publisherModels: names, ...(from + 2 < ids.length && { nextPageToken: String(from + 2) }) }
    },
  }
}

/** RFC 7523 as Google reads it. */
function refuseAssertion(assertion: string, publicKey: string, audience: string): string | null {
  const [head, claims, signature, ...more] = assertion.split('.')
  if (head === undefined || claims === undefined || signature === undefined || more.length > 0) return 'invalid_request'
  const isSigned = verify(
    'sha256',
    Buffer.from(`${head}.${claims}`),
    createPublicKey(publicKey),
    Buffer.from(signature, 'base64url'),
  )
  if (!isSigned) return 'invalid_grant'
  const { alg, kid } = read(head)
  const { iss, scope, aud, iat, exp } = read(claims)
  const now = Date.now() / 1000
  const isRight =
    alg === 'RS256' &&
    kid === 'fake-key-1' &&
    iss === email &&
    scope === 'https://www.googleapis.com/auth/cloud-platform' &&
    aud === audience &&
    Number(iat) <= now &&
    Number(exp) > now &&
    Number(exp) - Number(iat) <= 3600
  return isRight ? null : 'invalid_grant'
}

function read(part: string): Json {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Json
}
