import { fail } from '../../../kernel/errors.ts'
import type { ChatRequest, ChatResponseFormat, ChatTool } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { closeSchema } from './closed-schema.ts'
import type { ModelFacts } from './model-facts.ts'
import type { WireTool, WireToolChoice } from './wire.ts'
import { withExtras } from './write-messages.ts'

/**
 * The tool that stands for a JSON answer on models without structured outputs. The readers turn its call back into text,
 * so it must keep its name as long as streams may be under way.
 */
export const answerToolName = 'gatehouse_json_answer'

type Format = {
  /** Goes into `output_config`. */
  native: JsonObject | null
  /** Is to be called instead of answering in text. */
  answerTool: WireTool | null
  /** Is told to the model at the end of `system`. */
  instruction: string | null
  dropped: string[]
}

/**
 * json_schema: structured outputs where the model and the schema allow; on older models a forced tool; an open or
 * recursive schema that need not be strict is told to the model. json: Anthropic has no such mode, it is told too.
 */
export function writeFormat(chat: ChatRequest, facts: ModelFacts): Format {
  const none: Format = { native: null, answerTool: null, instruction: null, dropped: [] }
  const format = chat.responseFormat
  if (format === null || format.kind === 'text') return none
  if (format.kind === 'json') return { ...none, instruction: tellJson }
  if (facts.structuredOutputs) {
    const schema = closeSchema(format.schema, format.strict === true)
    if (schema !== null) return { ...none, native: { type: 'json_schema', schema } }
    if (format.strict === true) {
      throw fail(
        'unsupported_parameter',
        'Anthropic models take no schema with strict: true that is recursive or refers outside itself',
        {
          param: 'response_format.json_schema.schema',
        },
      )
    }
    return { ...none, instruction: `${tellJson} It must match this JSON Schema:\n${JSON.stringify(format.schema)}` }
  }
  const dropped = format.strict === true ? ['response_format.json_schema.strict'] : []
  // A caller that insists on one of its own tools gets a call, not an answer, so there is nothing to format.
  if (chat.toolChoice?.kind === 'tool' || chat.toolChoice?.kind === 'required') return none
  return { ...none, answerTool: writeAnswerTool(format), dropped }
}

const tellJson = 'Answer with one JSON value and nothing else: no explanation, no code fence.'

function writeAnswerTool(format: Extract<ChatResponseFormat, { kind: 'json_schema' }>): WireTool {
  const purpose = format.description === null ? format.name : `${format.name}: ${format.description}`
  return {
    name: answerToolName,
    description: `Gives the final answer (${purpose}).`,
    input_schema: asInput(format.schema),
  }
}

type Tools = { body: JsonObject; forcesTool: boolean; dropped: string[] }

/** `tools` and `tool_choice`. */
export function writeTools(chat: ChatRequest, facts: ModelFacts, answerTool: WireTool | null): Tools {
  const dropped = new Set<string>()
  const tools = chat.tools.map((tool) => writeTool(tool, facts, dropped))
  const choice = answerTool === null ? writeChoice(chat) : forceAnswer(chat, answerTool)
  const all = answerTool === null ? tools : [...tools, answerTool]
  if (all.length === 0) return { body: {}, forcesTool: false, dropped: [] }
  const body = choice === null ? { tools: all } : { tools: all, tool_choice: choice }
  return { body, forcesTool: choice?.type === 'any' || choice?.type === 'tool', dropped: [...dropped] }
}

function writeTool(tool: ChatTool, facts: ModelFacts, dropped: Set<string>): WireTool {
  const wire: WireTool = { name: tool.name, input_schema: asInput(tool.parameters ?? {}) }
  if (tool.description !== null && tool.description !== '') wire.description = tool.description
  if (tool.strict === true) {
    const closed = facts.structuredOutputs ? closeSchema(wire.input_schema, true) : null
    if (closed === null) dropped.add('tools.function.strict')
    else Object.assign(wire, { input_schema: closed, strict: true })
  }
  return withExtras(wire, tool.extras)
}

/** `input_schema` must say that it is an object and which properties it has. */
function asInput(schema: JsonObject): JsonObject {
  const { $schema: _, ...rest } = schema
  return { ...rest, type: 'object', properties: rest.properties ?? {} }
}

function writeChoice(chat: ChatRequest): WireToolChoice | null {
  if (chat.tools.length === 0) return null
  const single = chat.parallelToolCalls === false ? ({ disable_parallel_tool_use: true } as const) : {}
  switch (chat.toolChoice?.kind) {
    case undefined:
      return chat.parallelToolCalls === false ? { type: 'auto', ...single } : null
    case 'auto':
      return { type: 'auto', ...single }
    case 'none':
      return { type: 'none' }
    case 'required':
      return { type: 'any', ...single }
    case 'tool':
      return { type: 'tool', name: chat.toolChoice.name, ...single }
  }
}

/** Beside the caller's own tools the model chooses between calling one of them and answering. */
function forceAnswer(chat: ChatRequest, answerTool: WireTool): WireToolChoice {
  const mayCall = chat.tools.length > 0 && chat.toolChoice?.kind !== 'none'
  if (!mayCall) return { type: 'tool', name: answerTool.name, disable_parallel_tool_use: true }
  return chat.parallelToolCalls === false ? { type: 'any', disable_parallel_tool_use: true } : { type: 'any' }
}
