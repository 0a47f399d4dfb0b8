import type { ChatRequest, ChatTool } from '../../chat.ts'
import { asObject } from '../json.ts'
import type { JsonObject } from '../protocol.ts'
import { writeSchema } from './json-schema.ts'
import { protocolName, type WireFunction } from './wire.ts'

type Tools = { body: JsonObject; instruction: string | null; dropped: string[] }

/** `tools` and `toolConfig`. https://ai.google.dev/gemini-api/docs/function-calling */
export function writeTools(chat: ChatRequest): Tools {
  if (chat.tools.length === 0) return { body: {}, instruction: null, dropped: [] }
  const calling = writeCalling(chat)
  const single = chat.parallelToolCalls === false
  return {
    body: {
      tools: [{ functionDeclarations: chat.tools.map(writeFunction) }],
      ...(calling === null ? {} : { toolConfig: { functionCallingConfig: calling } }),
    },
    // Gemini has no switch for this, so it is asked in words and the caller is told that it is not enforced.
    instruction: single ? 'Call at most one function at a time, then wait for its result.' : null,
    dropped: single ? ['parallel_tool_calls'] : [],
  }
}

function writeFunction(tool: ChatTool): WireFunction {
  const parameters = tool.parameters === null ? {} : writeSchema(tool.parameters)
  const takesArguments = Object.keys(asObject(parameters.properties) ?? {}).length > 0 || parameters.anyOf !== undefined
  return {
    ...tool.extras?.[protocolName],
    name: tool.name,
    ...(tool.description === null || tool.description === '' ? {} : { description: tool.description }),
    // A function without arguments leaves the schema out: an object without properties is refused by older models.
    ...(takesArguments ? { parametersJsonSchema: { type: 'object', ...parameters } } : {}),
  }
}

/** VALIDATED is AUTO with arguments held to their schema, which is what `strict` asks for; ANY holds them already. */
function writeCalling(chat: ChatRequest): JsonObject | null {
  const strict = chat.tools.some((tool) => tool.strict === true)
  switch (chat.toolChoice?.kind) {
    case undefined:
      return strict ? { mode: 'VALIDATED' } : null
    case 'auto':
      return { mode: strict ? 'VALIDATED' : 'AUTO' }
    case 'none':
      return { mode: 'NONE' }
    case 'required':
      return { mode: 'ANY' }
    case 'tool':
      return { mode: 'ANY', allowedFunctionNames: [chat.toolChoice.name] }
  }
}
