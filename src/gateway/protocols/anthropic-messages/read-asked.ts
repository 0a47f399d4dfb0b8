import { fail } from '../../../kernel/errors.ts'
import { asObject } from '../json.ts'
import type { AskedFacts } from '../protocol.ts'
import type { Reading } from '../reading.ts'
import { hoistSystem } from './hoist-system.ts'

/** What a caller of Messages asks for. Throws HubError `invalid_request`, naming the member. */
export function readAsked(reading: Reading, body: Buffer): AskedFacts {
  const { member } = reading
  const model = member('model')
  if (typeof model !== 'string' || model === '') {
    throw fail('invalid_request', 'model must be a string: the name of the model to ask.', { param: 'model' })
  }
  const stream = member('stream') ?? false
  if (typeof stream !== 'boolean') throw fail('invalid_request', 'stream must be true or false.', { param: 'stream' })
  if (!reading.hasItems('messages')) {
    throw fail('invalid_request', 'messages must be an array with at least one message.', { param: 'messages' })
  }
  const limit = member('max_tokens')
  const tools = member('tools')
  const format = asObject(asObject(member('output_config'))?.format) ?? asObject(member('output_format'))
  const endUser = asObject(member('metadata'))?.user_id
  return {
    model,
    stream,
    // There is no stream of this protocol that keeps its usage to itself.
    includeUsage: true,
    choices: 1,
    needs: {
      tools: Array.isArray(tools) && tools.length > 0,
      structuredOutput: format?.type === 'json_schema',
      // Inside JSON text a quote is escaped, so these bytes can only be a block or a source that says what it is.
      images: () => imageMarks.some((mark) => body.includes(mark)),
    },
    maxOutputTokens: typeof limit === 'number' ? limit : null,
    // Claude Code puts its session into the id of the end user.
    affinity: typeof endUser === 'string' ? endUser : '',
    changes: (providerModel) => ({
      ...(providerModel === model ? {} : { model: JSON.stringify(providerModel) }),
      ...hoistSystem(body, reading.whole, providerModel),
    }),
  }
}

/** As JavaScript and as Python write it. */
const imageMarks = [Buffer.from('"type":"image"'), Buffer.from('"type": "image"')]
