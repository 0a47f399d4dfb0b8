import { fail } from '../../../kernel/errors.ts'
import { asList, asObject, asText } from '../json.ts'
import type { AskedFacts, JsonObject, Place } from '../protocol.ts'
import type { Reading } from '../reading.ts'
import { withoutSealed } from './foreign-signatures.ts'
import { hasSchema } from './read-config.ts'

/** What a caller of generateContent asks for. Throws HubError `invalid_request`, naming the member. */
export function readAsked(reading: Reading, body: Buffer, place: Place): AskedFacts {
  if (!reading.hasItems('contents') && asObject(reading.member('contents')) === null) {
    throw fail('invalid_request', 'contents must be an array with at least one content.', { param: 'contents' })
  }
  const either = (camel: string, snake: string) => reading.member(camel) ?? reading.member(snake)
  const config = asObject(either('generationConfig', 'generation_config'))
  const limit = config?.maxOutputTokens ?? config?.max_output_tokens
  const count = config?.candidateCount ?? config?.candidate_count
  return {
    model: place.model,
    stream: place.stream,
    includeUsage: true,
    choices: typeof count === 'number' ? count : 1,
    needs: {
      tools: asList(reading.member('tools')).some(declaresFunctions),
      structuredOutput: hasSchema(config),
      images: () => hasValue(body, imageType) || hasValue(body, escapedImageType),
    },
    maxOutputTokens: typeof limit === 'number' ? limit : null,
    affinity: asText(either('cachedContent', 'cached_content')),
    changes(providerModel) {
      const set: Record<string, string> = {}
      // Some clients repeat the model of the address in the body.
      if (reading.member('model') !== undefined) set.model = JSON.stringify(`models/${providerModel}`)
      const contents = withoutSealed(body, () => reading.whole().contents)
      if (contents !== null) set.contents = JSON.stringify(contents)
      return set
    },
  }
}

function declaresFunctions(tool: unknown): boolean {
  const wire: JsonObject = asObject(tool) ?? {}
  return asList(wire.functionDeclarations ?? wire.function_declarations).length > 0
}

/** Whether a value begins so. Inside of a text the quote would be escaped. */
function hasValue(body: Buffer, beginning: Buffer): boolean {
  for (let at = body.indexOf(beginning); at !== -1; at = body.indexOf(beginning, at + 1)) {
    if (body[at - 1] !== backslash) return true
  }
  return false
}

const backslash = 0x5c
const imageType = Buffer.from('"image/')
const escapedImageType = Buffer.from('"image\\/')
