import type { FastifyError } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { fail, type HubError, toHubError } from '../kernel/errors.ts'

/** Whatever Fastify, a schema or a handler threw, as one of our errors. */
export function toRefusal(thrown: unknown): HubError {
  const error = thrown as Partial<FastifyError>
  if (hasZodFastifySchemaValidationErrors(thrown)) return explainValidation(thrown)
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return fail('body_too_large', 'the body is larger than this hub accepts here')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return fail('unsupported_media_type', 'send the body as application/json', { param: 'content-type' })
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return fail('client_closed', 'the body ended before its declared length')
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return fail('invalid_request', 'the path is not readable')
  }
  if ((thrown as NodeJS.ErrnoException)?.code === 'ECONNRESET')
    return fail('client_closed', undefined, { cause: thrown })
  return toHubError(thrown)
}

type Finding = { path: string; message: string }
type Validation = {
  validation: readonly { keyword: string; instancePath: string; message?: string; params?: unknown }[]
  validationContext?: string
}

function explainValidation(error: Validation): HubError {
  const where = error.validationContext === 'querystring' ? 'query' : (error.validationContext ?? 'body')
  const issues = error.validation.flatMap((finding): Finding[] => {
    const path = finding.instancePath.slice(1).replaceAll('/', '.')
    if (finding.keyword === 'unrecognized_keys') {
      const { keys = [] } = finding.params as { keys?: readonly string[] }
      return keys.map((key) => ({ path: path === '' ? key : `${path}.${key}`, message: 'is not known here' }))
    }
    return [{ path, message: finding.message ?? 'is not valid' }]
  })
  const first = issues[0]
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  const said = first === undefined ? 'is not valid' : `${first.path === '' ? '' : `"${first.path}": `}${first.message}`
  return fail('invalid_request', `${where} ${said}${more}`, { issues, ...(first?.path ? { param: first.path } : {}) })
}
