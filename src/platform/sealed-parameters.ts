import { fail } from '../kernel/errors.ts'
import type { Secrets } from './secrets.ts'

/**
 * Parameters of which some are secrets: those lie in an envelope, the rest lies open, and people see a mask. Of a secret
 * that is an object the names of its members are shown and each value is masked.
 */
export const mask = '********'

type Parameters = Record<string, unknown>
export type SealedParameters = {
  /** JSON of what may lie open. */
  parameters: string
  /** The envelope around the rest; '' without secrets. */
  sealed: string
}

/** `context` is what the envelope belongs to: only the same opens it again. */
export function sealParameters(
  secrets: Pick<Secrets, 'encrypt'>,
  context: string,
  names: readonly string[],
  parameters: Parameters,
): SealedParameters {
  const open: Parameters = {}
  const hidden: Parameters = {}
  for (const [name, value] of Object.entries(parameters)) {
    if (names.includes(name) && !isEmpty(value)) hidden[name] = value
    else open[name] = value
  }
  const sealed = Object.keys(hidden).length === 0 ? '' : secrets.encrypt(JSON.stringify(hidden), context)
  return { parameters: JSON.stringify(open), sealed }
}

export function openParameters(
  secrets: Pick<Secrets, 'decrypt'>,
  context: string,
  { parameters, sealed }: SealedParameters,
): Parameters {
  const hidden = sealed === '' ? {} : (JSON.parse(secrets.decrypt(sealed, context)) as Parameters)
  return { ...(JSON.parse(parameters) as Parameters), ...hidden }
}

/** As people see them. */
export function maskSecrets(parameters: Parameters, names: readonly string[]): Parameters {
  return mapSecrets(parameters, names, () => mask)
}

/** As sent, where what was shown masked stands for what is stored; `invalid_request` where nothing is. */
export function unmaskSecrets(
  sent: Parameters,
  stored: Parameters,
  names: readonly string[],
  param: string,
): Parameters {
  return mapSecrets(sent, names, (value, name, member) => {
    if (value !== mask) return value
    const before = stored[name]
    const kept = member === null ? before : (before as Parameters | undefined)?.[member]
    if (kept === undefined) {
      throw fail('invalid_request', `${param}.${name} is masked, and nothing is stored for it`, {
        param: `${param}.${name}`,
      })
    }
    return kept
  })
}

function mapSecrets(
  parameters: Parameters,
  names: readonly string[],
  to: (value: unknown, name: string, member: string | null) => unknown,
): Parameters {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => {
      if (!names.includes(name) || isEmpty(value)) return [name, value]
      if (typeof value !== 'object' || value === null) return [name, to(value, name, null)]
      return [name, Object.fromEntries(Object.entries(value).map(([member, each]) => [member, to(each, name, member)]))]
    }),
  )
}

function isEmpty(value: unknown): boolean {
  return value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
}
