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
      // A value that begins so is a media type; inside of a text the quote would be escaped.
      images: () => body.includes(imageType) || body.includes(escapedImageType),
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

const imageType = Buffer.from('"image/')
const escapedImageType = Buffer.from('"image\\/')
