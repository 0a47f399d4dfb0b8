import { fail } from '../../../kernel/errors.ts'
import type { ChatAssistantPart, ChatResult } from '../../chat.ts'
import { asObject, asText } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { readFinish, readUsage } from './read-usage.ts'
import { fromWireToolId } from './tool-ids.ts'
import { protocolName } from './wire.ts'
import { answerToolName } from './write-tools.ts'

/** Reads a whole Message. Blocks of server tools and blocks we don't know are left out: their outcome is in the text. */
export function readResult(wire: JsonObject): ChatResult {
  const content = wire.content
  if (wire.type !== 'message' || !Array.isArray(content)) {
    throw fail('upstream_garbled', 'The provider answered something that is no Anthropic message', {
      detail: `type ${JSON.stringify(wire.type)}, content ${Array.isArray(content) ? 'array' : typeof content}`,
    })
  }
  const parts = content.flatMap(readBlock)
  const explanation = asText(asObject(wire.stop_details)?.explanation)
  if (wire.stop_reason === 'refusal' && explanation !== '') parts.push({ kind: 'refusal', text: explanation })
  const hasCalls = parts.some((part) => part.kind === 'tool_call')
  const stopSequence = wire.stop_sequence
  return {
    id: asText(wire.id),
    model: asText(wire.model),
    choices: [
      {
        index: 0,
        parts,
        finish: readFinish(wire.stop_reason, hasCalls),
        stopSequence: typeof stopSequence === 'string' ? stopSequence : null,
        logprobs: null,
      },
    ],
    usage: readUsage(wire.usage),
    extras: readExtras(wire),
  }
}

function readBlock(value: unknown): ChatAssistantPart[] {
  const block = asObject(value) ?? {}
  switch (block.type) {
    case 'text':
      return asText(block.text) === '' ? [] : [{ kind: 'text', text: asText(block.text) }]
    case 'thinking': {
      const signature = asText(block.signature)
      return [
        {
          kind: 'reasoning',
          text: asText(block.thinking),
          signature: signature === '' ? null : signature,
          signedBy: protocolName,
          redacted: false,
        },
      ]
    }
    case 'redacted_thinking':
      return [{ kind: 'reasoning', text: '', signature: asText(block.data), signedBy: protocolName, redacted: true }]
    case 'tool_use': {
      const text = JSON.stringify(asObject(block.input) ?? {})
      if (block.name === answerToolName) return [{ kind: 'text', text }]
      return [{ kind: 'tool_call', id: fromWireToolId(asText(block.id)), name: asText(block.name), arguments: text }]
    }
    default:
      return []
  }
}

/** What only an Anthropic caller would understand. */
function readExtras(wire: JsonObject): ChatResult['extras'] {
  const own = Object.fromEntries(
    ['container', 'stop_details', 'context_management'].flatMap((name) =>
      wire[name] === undefined || wire[name] === null ? [] : [[name, wire[name]]],
    ),
  )
  return Object.keys(own).length > 0 ? { [protocolName]: own } : {}
}
