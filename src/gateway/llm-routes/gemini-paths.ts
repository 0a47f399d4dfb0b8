import { fail } from '../../kernel/errors.ts'
import { mayUseModel } from '../../kernel/principal.ts'
import type { ServedModel } from '../models.ts'
import type { Visit } from './endpoint.ts'
import { decodeName } from './models.ts'

/** The address of a verb. Names may hold slashes, colons and percent-encoding; the last colon begins the verb. */
export function pathOf(verb: string): RegExp {
  return new RegExp(`^/v1(?:beta)?/(?<model>(?:models|tunedModels)/.+)(?::|%3[Aa])${verb}$`)
}

/** The model an address names: `models/x` is x, as callers and operators call it. */
export function geminiName({ groups }: Visit): string {
  return decodeName(groups.model ?? '').replace(/^models\//, '')
}

/** The models that this caller may use, in the order of their names. */
export function visibleModels({ own, principal }: Visit): ServedModel[] {
  return [...own.table().models.values()]
    .filter((model) => model.candidates.length > 0 && mayUseModel(principal, model.name))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** One answer for "absent" and "not yours". Throws HubError `model_not_found`. */
export function findVisible({ own, principal }: Visit, name: string): ServedModel {
  const model = own.table().models.get(name)
  if (model && model.candidates.length > 0 && mayUseModel(principal, name)) return model
  throw fail('model_not_found', `The model '${name.slice(0, 200)}' does not exist or this key may not use it.`, {
    param: 'model',
  })
}
