import type { ChatResponseFormat, ChatTool, Extras } from '../../chat.ts'
import type { JsonObject } from '../protocol.ts'
import { nonEmptyAt, optionalBoolean, optionalObject, optionalString } from './fields.ts'

/** What OpenAI's two protocols say in the same members, each at a place of its own. */

export const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const

export function readFunction(wire: JsonObject, path: string, extras?: Extras): ChatTool {
  return {
    name: nonEmptyAt(wire.name, `${path}.name`),
    description: optionalString(wire, 'description', `${path}.description`),
    parameters: optionalObject(wire, 'parameters', `${path}.parameters`),
    strict: optionalBoolean(wire, 'strict', `${path}.strict`),
    ...(extras === undefined ? {} : { extras }),
  }
}

/** To other vendors a tool that takes free text is a function of one string; its own protocol finds it as sent. */
export function readCustomTool(custom: JsonObject, path: string, protocolName: string): ChatTool {
  return {
    name: nonEmptyAt(custom.name, `${path}.name`),
    description: optionalString(custom, 'description', `${path}.description`),
    parameters: { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] },
    strict: null,
    extras: { [protocolName]: { custom } },
  }
}

export function readSchemaFormat(wire: JsonObject, path: string, schema: Record<string, unknown>): ChatResponseFormat {
  return {
    kind: 'json_schema',
    name: nonEmptyAt(wire.name, `${path}.name`),
    description: optionalString(wire, 'description', `${path}.description`),
    schema,
    strict: optionalBoolean(wire, 'strict', `${path}.strict`),
  }
}
