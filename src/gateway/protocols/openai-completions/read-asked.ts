import { fail } from '../../../kernel/errors.ts'
import { asObject } from '../json.ts'
import type { AskedFacts } from '../protocol.ts'
import type { Reading } from '../reading.ts'

/** What a caller of legacy completions asks for. Throws HubError `invalid_request`, naming the member. */
export function readAsked(reading: Reading): AskedFacts {
  const { member } = reading
  const model = member('model')
  if (typeof model !== 'string' || model === '') throw wrong('model', 'must be a string: the name of the model to ask.')
  const stream = member('stream') ?? false
  if (typeof stream !== 'boolean') throw wrong('stream', 'must be true or false.')
  const prompts = countPrompts(member('prompt'))
  const streamOptions = member('stream_options') ?? undefined
  const options = asObject(streamOptions)
  if (streamOptions !== undefined && options === null) throw wrong('stream_options', 'must be an object.')
  const includeUsage = options?.include_usage === true
  const n = member('n')
  const limit = member('max_tokens')
  return {
    model,
    stream,
    includeUsage,
    choices: prompts * (typeof n === 'number' ? n : 1),
    needs: { tools: false, structuredOutput: false, images: () => false },
    maxOutputTokens: typeof limit === 'number' ? limit : null,
    affinity: '',
    changes(providerModel) {
      const set: Record<string, string> = {}
      if (providerModel !== model) set.model = JSON.stringify(providerModel)
      // Asked for always: without it a stream tells nothing of its cost.
      if (stream && !includeUsage) set.stream_options = JSON.stringify({ ...options, include_usage: true })
      return set
    },
  }
}

/** A text or the tokens of one are one prompt; an array of such is as many as it holds. */
function countPrompts(prompt: unknown): number {
  if (typeof prompt === 'string') return 1
  if (!Array.isArray(prompt) || prompt.length === 0)
    throw wrong('prompt', 'must be a text, tokens, or an array of such.')
  return typeof prompt[0] === 'number' ? 1 : prompt.length
}

function wrong(param: string, rule: string) {
  return fail('invalid_request', `${param} ${rule}`, { param })
}
