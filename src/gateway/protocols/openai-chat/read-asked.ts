import { fail } from '../../../kernel/errors.ts'
import type { AskedFacts, JsonObject } from '../protocol.ts'
import type { Reading } from '../reading.ts'

/** What a caller of chat completions asks for. Throws HubError `invalid_request`, naming the member. */
export function readAsked(reading: Reading, body: Buffer): AskedFacts {
  const { member } = reading
  const model = member('model')
  if (typeof model !== 'string' || model === '') {
    throw fail('invalid_request', 'model must be a string: the name of the model to ask.', { param: 'model' })
  }
  const stream = member('stream') ?? undefined
  if (stream !== undefined && typeof stream !== 'boolean') {
    throw fail('invalid_request', 'stream must be true or false.', { param: 'stream' })
  }
  if (!reading.hasItems('messages')) {
    throw fail('invalid_request', 'messages must be an array with at least one message.', { param: 'messages' })
  }
  const streamOptions = member('stream_options') ?? undefined
  if (streamOptions !== undefined && (typeof streamOptions !== 'object' || Array.isArray(streamOptions))) {
    throw fail('invalid_request', 'stream_options must be an object.', { param: 'stream_options' })
  }
  const includeUsage = (streamOptions as JsonObject | undefined)?.include_usage === true
  const choices = member('n')
  const limit = member('max_completion_tokens') ?? member('max_tokens')
  const affinity = member('prompt_cache_key')
  return {
    model,
    stream: stream === true,
    includeUsage,
    choices: typeof choices === 'number' ? choices : 1,
    needs: {
      tools: hasItems(member('tools')) || hasItems(member('functions')),
      structuredOutput: (member('response_format') as JsonObject | null | undefined)?.type === 'json_schema',
      // Inside JSON text a quote is escaped, so these bytes with bare quotes can only be a real member name or value.
      images: () => body.includes(imageWord),
    },
    maxOutputTokens: typeof limit === 'number' ? limit : null,
    affinity: typeof affinity === 'string' ? affinity : '',
    removes: wishesIn(member),
    changes(providerModel) {
      const set: Record<string, string> = {}
      if (providerModel !== model) set.model = JSON.stringify(providerModel)
      // Asked for always: without it a stream tells nothing of its cost. The caller's view stays as it asked.
      if (stream === true && !includeUsage) {
        const given = streamOptions === undefined ? {} : (reading.whole().stream_options as JsonObject)
        set.stream_options = JSON.stringify({ ...given, include_usage: true })
      }
      return set
    },
  }
}

function hasItems(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0
}

const imageWord = Buffer.from('"image_url"')

/**
 * What is for the hub's routing and for no provider: members that the first orchestrator had in this body. A `provider`
 * that is no text is another vendor's extension and passes.
 */
function wishesIn(member: (name: string) => unknown): readonly string[] {
  const provider = member('provider')
  const isAny = [provider, ...others.map(member)].some((value) => value !== undefined)
  if (!isAny) return nothing
  return typeof provider === 'string' || provider === undefined ? ['provider', ...others] : others
}

const others = ['fallback_providers', 'timeout', 'retry_count']
const nothing: readonly string[] = []
