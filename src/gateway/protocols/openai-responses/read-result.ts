import { fail } from '../../../kernel/errors.ts'
import type { ChatAssistantPart, ChatFinish, ChatResult } from '../../chat.ts'
import { asList, asObject, asText } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { readUsage } from './usage.ts'
import { protocolName } from './wire.ts'

/** Reads a response object. Throws HubError `upstream_garbled` for anything else. */
export function readResult(wire: JsonObject): ChatResult {
  if (!Array.isArray(wire.output)) throw fail('upstream_garbled', 'The provider answered JSON without output')
  const parts = wire.output.flatMap((item: unknown) => readItem(asObject(item) ?? {}))
  const hasCalls = parts.some((part) => part.kind === 'tool_call')
  return {
    id: asText(wire.id),
    model: asText(wire.model),
    choices: [
      { index: 0, parts, finish: readFinish(wire, hasCalls), stopSequence: null, logprobs: readLogprobs(wire.output) },
    ],
    usage: readUsage(wire.usage, wire.service_tier),
    extras: {},
  }
}

/** As chat completions tell them; null where there are none. */
function readLogprobs(output: unknown[]): unknown {
  const content = output.flatMap((item: unknown) =>
    asList(asObject(item)?.content).flatMap((part) => asList(asObject(part)?.logprobs)),
  )
  return content.length === 0 ? null : { content, refusal: null }
}

/** Why an answer ended: what cut it, else whether it waits for tools. */
export function readFinish(wire: JsonObject, hasCalls: boolean): ChatFinish {
  const reason = asText(asObject(wire.incomplete_details)?.reason)
  if (reason === 'content_filter') return 'content_filter'
  if (wire.status === 'incomplete') return 'length'
  return hasCalls ? 'tool_calls' : 'stop'
}

function readItem(item: JsonObject): ChatAssistantPart[] {
  switch (item.type) {
    case 'message':
      return asList(item.content).flatMap((part: unknown): ChatAssistantPart[] => {
        const wire = asObject(part) ?? {}
        if (wire.type === 'refusal') return [{ kind: 'refusal', text: asText(wire.refusal) }]
        return asText(wire.text) === '' ? [] : [{ kind: 'text', text: asText(wire.text) }]
      })
    case 'reasoning': {
      const text = reasoningText(item)
      const signature = asText(item.encrypted_content)
      if (signature === '') return text === '' ? [] : [{ kind: 'reasoning', text, signature: null, redacted: false }]
      return [{ kind: 'reasoning', text, signature, redacted: text === '', signedBy: protocolName, ...idOf(item) }]
    }
    case 'function_call':
      return [
        { kind: 'tool_call', id: asText(item.call_id), name: asText(item.name), arguments: asText(item.arguments) },
      ]
    case 'custom_tool_call': {
      const input = JSON.stringify({ input: asText(item.input) })
      const extras = { [protocolName]: { custom: true } }
      return [{ kind: 'tool_call', id: asText(item.call_id), name: asText(item.name), arguments: input, extras }]
    }
    default:
      return []
  }
}

export function reasoningText(item: JsonObject): string {
  const told = asList(item.summary).length > 0 ? item.summary : item.content
  return asList(told)
    .map((part) => asText(asObject(part)?.text))
    .join('\n\n')
}

/** OpenAI wants its reasoning back under the id it had. */
export function idOf(item: JsonObject): { extras?: { [protocolName]: { id: string } } } {
  return typeof item.id === 'string' ? { extras: { [protocolName]: { id: item.id } } } : {}
}
