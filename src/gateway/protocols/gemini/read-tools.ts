import type { ChatTool, ChatToolChoice } from '../../chat.ts'
import { nonEmptyAt, objectAt, oneOf, unread } from '../openai-chat/fields.ts'
import type { JsonObject } from '../protocol.ts'
import { listAt, membersAt, optionalAt, textAt } from './fields.ts'
import { readSchema } from './read-schema.ts'
import { protocolName } from './wire.ts'

type Tools = {
  tools: ChatTool[]
  choice: ChatToolChoice | null
  /** Tools that Google runs itself, and what else only Gemini knows; members of the body. */
  rest: JsonObject
}

const modes = ['mode_unspecified', 'auto', 'any', 'none', 'validated'] as const

/** `tools` and `toolConfig`. https://ai.google.dev/api/caching#Tool */
export function readTools(body: JsonObject): Tools {
  const declared: ChatTool[] = []
  const own: JsonObject[] = []
  for (const [at, value] of listAt(body, 'tools', 'tools').entries()) {
    const path = `tools[${at}]`
    const { functionDeclarations, ...others } = membersAt(value, path)
    if (Object.keys(others).length > 0) own.push(others)
    const list = listAt({ functionDeclarations }, 'functionDeclarations', `${path}.functionDeclarations`)
    declared.push(...list.map((one, i) => readFunction(one, `${path}.functionDeclarations[${i}]`)))
  }
  const config = readConfig(optionalAt(body, 'toolConfig'))
  // A choice among several is a smaller list to choose from: nobody else has a word for it.
  const tools = config.allowed === null ? declared : declared.filter(({ name }) => config.allowed?.includes(name))
  const rest = { ...(own.length > 0 ? { tools: own } : {}), ...(config.rest ? { toolConfig: config.rest } : {}) }
  return { tools, choice: declared.length > 0 ? config.choice : null, rest }
}

const functionMembers = new Set(['name', 'description', 'parameters', 'parametersJsonSchema'])

function readFunction(value: unknown, path: string): ChatTool {
  const wire = membersAt(value, path)
  const openApi = optionalAt(wire, 'parameters')
  const json = optionalAt(wire, 'parametersJsonSchema')
  const rest = unread(wire, functionMembers)
  const parameters = () => {
    if (json !== null) return objectAt(json, `${path}.parametersJsonSchema`)
    return openApi === null ? null : readSchema(objectAt(openApi, `${path}.parameters`))
  }
  return {
    name: nonEmptyAt(wire.name, `${path}.name`),
    description: textAt(wire, 'description', path),
    parameters: parameters(),
    strict: null,
    ...(rest === null ? {} : { extras: { [protocolName]: rest } }),
  }
}

type Calling = { choice: ChatToolChoice | null; allowed: string[] | null; rest: JsonObject | null }

function readConfig(value: unknown): Calling {
  if (value === null) return { choice: null, allowed: null, rest: null }
  const { functionCallingConfig, ...others } = membersAt(value, 'toolConfig')
  const rest = Object.keys(others).length > 0 ? others : null
  if (functionCallingConfig === undefined || functionCallingConfig === null) {
    return { choice: null, allowed: null, rest }
  }
  const path = 'toolConfig.functionCallingConfig'
  const wire = membersAt(functionCallingConfig, path)
  const said = textAt(wire, 'mode', path)?.toLowerCase() ?? 'mode_unspecified'
  const mode = oneOf(said, modes, `${path}.mode`)
  const names = listAt(wire, 'allowedFunctionNames', `${path}.allowedFunctionNames`).map((name, at) =>
    nonEmptyAt(name, `${path}.allowedFunctionNames[${at}]`),
  )
  const allowed = names.length > 0 && (mode === 'any' || mode === 'validated') ? names : null
  switch (mode) {
    case 'mode_unspecified':
      return { choice: null, allowed, rest }
    // That arguments are held to their schema is Gemini's to promise.
    case 'auto':
    case 'validated':
      return { choice: { kind: 'auto' }, allowed, rest }
    case 'none':
      return { choice: { kind: 'none' }, allowed, rest }
    case 'any':
      return names.length === 1
        ? { choice: { kind: 'tool', name: names[0]! }, allowed: null, rest }
        : { choice: { kind: 'required' }, allowed, rest }
  }
}
