import { formatSse } from '../../../kernel/sse.ts'
import type { ChatChoice, ChatEvent, ChatResult, ChatUsage } from '../../chat.ts'
import { failureEnvelope, writeError } from '../openai-chat/errors.ts'
import { writeFinish } from '../openai-chat/finish.ts'
import { writeUsage } from '../openai-chat/usage.ts'
import { doneLine } from '../openai-chat/wire.ts'
import type { JsonObject, ReplyContext, StreamWriter } from '../protocol.ts'

/** A `text_completion` as its clients expect it. Reasoning has no place in it. */
export function writeResult(result: ChatResult, reply: ReplyContext): JsonObject {
  return {
    ...head(reply),
    choices: result.choices.map((choice) => ({
      text: textOf(choice),
      index: choice.index,
      logprobs: null,
      finish_reason: writeFinish(choice.finish),
    })),
    ...(result.usage === null ? {} : { usage: writeUsage(result.usage) }),
  }
}

export function createStreamWriter(reply: ReplyContext): StreamWriter {
  const fixed = head(reply)
  let usage: ChatUsage | null = null
  let isOver = false
  const event = (members: JsonObject) => formatSse({ data: JSON.stringify({ ...fixed, ...members }) })
  const chunk = (index: number, text: string, finish: string | null) =>
    event({
      choices: [{ text, index, logprobs: null, finish_reason: finish }],
      ...(reply.includeUsage ? { usage: null } : {}),
    })

  const write = (told: ChatEvent): string => {
    switch (told.kind) {
      case 'text':
      case 'refusal':
        return chunk(told.index, told.text, null)
      case 'finish':
        return chunk(told.index, '', writeFinish(told.finish))
      case 'start':
        usage = told.usage ?? usage
        return ''
      case 'usage':
        usage = told.usage
        return ''
      case 'error':
        isOver = true
        return formatSse({ data: JSON.stringify(failureEnvelope(told.error)) })
      case 'end':
        isOver = true
        if (!reply.includeUsage || usage === null) return doneLine
        return event({ choices: [], usage: writeUsage(usage) }) + doneLine
      default:
        return ''
    }
  }

  return {
    write: (told) => (isOver ? '' : write(told)),
    fail(error) {
      if (isOver) return ''
      isOver = true
      return formatSse({ data: JSON.stringify(writeError(error, '')) })
    },
    keepAlive: () => (isOver ? '' : ': keep-alive\n\n'),
  }
}

function head(reply: ReplyContext): JsonObject {
  const id = reply.id.startsWith('cmpl-') ? reply.id : `cmpl-${reply.id}`
  return { id, object: 'text_completion', created: Math.floor(reply.createdMs / 1000), model: reply.model }
}

function textOf({ parts }: ChatChoice): string {
  return parts.map((part) => (part.kind === 'text' || part.kind === 'refusal' ? part.text : '')).join('')
}
