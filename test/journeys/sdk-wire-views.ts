import type { VendorName } from '../fake-providers/index.ts'

/** What a provider was asked, read from its own wire by code that shares nothing with the hub's translators. */
export type WireView = {
  /** Texts of the system instruction, in order. */
  system: string[]
  images: ({ url: string } | { mediaType: string; base64: string })[]
  tools: string[]
  toolChoice: 'auto' | 'none' | 'required' | { name: string } | null
  /** Results of tools, in the order they stand. */
  toolResults: string[]
  /** Property names of the JSON Schema the answer must match. */
  schemaProperties: string[] | null
  stop: string[]
  maxOutputTokens: number | null
  thinks: boolean
}

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON, read as a vendor would
type Wire = any

export function viewOf(vendor: VendorName, body: unknown): WireView {
  return views[vendor](body as Wire)
}

const views: Record<VendorName, (body: Wire) => WireView> = {
  openai: viewOpenai,
  anthropic: viewAnthropic,
  gemini: viewGemini,
}

const list = (value: Wire): Wire[] => (Array.isArray(value) ? value : [])
const textsOf = (content: Wire): string[] =>
  typeof content === 'string'
    ? [content]
    : list(content).flatMap((part) => (part.text === undefined ? [] : [part.text]))
const names = (properties: Wire) => (properties ? Object.keys(properties) : null)

function viewOpenai(body: Wire): WireView {
  if (body.input !== undefined) return viewResponses(body)
  const parts = list(body.messages).flatMap((message) => list(message.content))
  const choice = body.tool_choice
  return {
    system: list(body.messages)
      .filter(({ role }) => role === 'system' || role === 'developer')
      .flatMap(({ content }) => textsOf(content)),
    images: parts.filter(({ type }) => type === 'image_url').map(({ image_url }) => readUrl(image_url.url)),
    tools: list(body.tools).map((tool) => tool.function.name),
    toolChoice: choice?.function ? { name: choice.function.name } : (choice ?? null),
    toolResults: list(body.messages)
      .filter(({ role }) => role === 'tool')
      .map(({ content }) => textsOf(content).join('')),
    schemaProperties: names(body.response_format?.json_schema?.schema?.properties),
    stop: typeof body.stop === 'string' ? [body.stop] : list(body.stop),
    maxOutputTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
    thinks: body.reasoning_effort !== undefined && body.reasoning_effort !== 'none',
  }
}

/** The same vendor's other protocol. It has no word for stop sequences. */
function viewResponses(body: Wire): WireView {
  const items = list(body.input)
  const ofRole = (...roles: string[]) => items.filter(({ role }) => roles.includes(role))
  const parts = ofRole('user').flatMap(({ content }) => list(content))
  const choice = body.tool_choice
  return {
    system: [
      ...(body.instructions ? [body.instructions] : []),
      ...ofRole('system', 'developer').flatMap(({ content }) => textsOf(content)),
    ],
    images: parts.filter(({ type }) => type === 'input_image').map(({ image_url }) => readUrl(image_url)),
    tools: list(body.tools).map((tool) => tool.name),
    toolChoice: choice?.name ? { name: choice.name } : (choice ?? null),
    toolResults: items
      .filter(({ type }) => type === 'function_call_output')
      .map(({ output }) => textsOf(output).join('')),
    schemaProperties: names(body.text?.format?.schema?.properties),
    stop: [],
    maxOutputTokens: body.max_output_tokens ?? null,
    thinks: body.reasoning?.effort !== undefined && body.reasoning.effort !== 'none',
  }
}

function readUrl(url: string): WireView['images'][number] {
  const data = url.match(/^data:([^;]+);base64,(.*)$/s)
  return data ? { mediaType: data[1] as string, base64: data[2] as string } : { url }
}

function viewAnthropic(body: Wire): WireView {
  const blocks = list(body.messages).flatMap((message) => list(message.content))
  const choice = body.tool_choice
  const choices: Record<string, WireView['toolChoice']> = { auto: 'auto', none: 'none', any: 'required' }
  return {
    system: textsOf(body.system),
    images: blocks
      .filter(({ type }) => type === 'image')
      .map(({ source }) =>
        source.type === 'url' ? { url: source.url } : { mediaType: source.media_type, base64: source.data },
      ),
    tools: list(body.tools).map((tool) => tool.name),
    toolChoice: choice?.type === 'tool' ? { name: choice.name } : (choices[choice?.type] ?? null),
    toolResults: blocks.filter(({ type }) => type === 'tool_result').map(({ content }) => textsOf(content).join('')),
    schemaProperties: names(body.output_config?.format?.schema?.properties),
    stop: list(body.stop_sequences),
    maxOutputTokens: body.max_tokens ?? null,
    thinks: body.thinking?.type === 'enabled' || body.thinking?.type === 'adaptive',
  }
}

function viewGemini(body: Wire): WireView {
  const parts = list(body.contents).flatMap((content) => list(content.parts))
  const config = body.generationConfig ?? {}
  const calling = body.toolConfig?.functionCallingConfig
  const choices: Record<string, WireView['toolChoice']> = { AUTO: 'auto', NONE: 'none', ANY: 'required' }
  const allowed = list(calling?.allowedFunctionNames)
  return {
    system: textsOf(body.systemInstruction?.parts),
    images: parts.flatMap((part): WireView['images'] => {
      if (part.inlineData) return [{ mediaType: part.inlineData.mimeType, base64: part.inlineData.data }]
      return part.fileData ? [{ url: part.fileData.fileUri }] : []
    }),
    tools: list(body.tools).flatMap((tool) => list(tool.functionDeclarations).map(({ name }) => name)),
    toolChoice: allowed.length === 1 ? { name: allowed[0] } : (choices[calling?.mode] ?? null),
    toolResults: parts.flatMap(({ functionResponse }) =>
      functionResponse ? [readResult(functionResponse.response)] : [],
    ),
    schemaProperties: names((config.responseJsonSchema ?? config.responseSchema)?.properties),
    stop: list(config.stopSequences),
    maxOutputTokens: config.maxOutputTokens ?? null,
    thinks: config.thinkingConfig?.includeThoughts === true,
  }
}

/** A result must be an object there; one that was text stands under a single member. */
function readResult(response: Wire): string {
  const [only, ...others] = Object.values(response ?? {})
  return others.length === 0 && typeof only === 'string' ? only : JSON.stringify(response)
}
