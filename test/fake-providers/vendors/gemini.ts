import type { RetryAfter, Usage } from '../behaviour.ts'
import {
  type AnswerPlan,
  asList,
  isObject,
  type Json,
  type SignatureCheck,
  textOf,
  unknownMember,
  type Vendor,
  type VendorEvent,
} from './vendor.ts'

/** generateContent as specified at https://ai.google.dev/api/generate-content. */
export const gemini: Vendor = {
  basePath: '',

  route(method, path, query) {
    const rest = path.match(/^\/v1(?:beta)?\/models(?:\/(.*))?$/)
    if (rest === null) return null
    const target = rest[1] ?? ''
    const call = target.match(/^(.+):(generateContent|streamGenerateContent)$/)
    if (method === 'POST' && call) {
      const stream = call[2] === 'streamGenerateContent'
      return { kind: 'chat', model: call[1] as string, stream, isJsonArray: stream && query.get('alt') !== 'sse' }
    }
    if (method !== 'GET' || call) return null
    return target === '' ? { kind: 'models' } : { kind: 'model', id: target }
  },

  readKey(headers, query) {
    const key = headers['x-goog-api-key']
    return typeof key === 'string' ? key : query.get('key')
  },

  readCall(body) {
    const users = asList(body.contents).filter((content) => isObject(content) && content.role !== 'model') as Json[]
    const config = isObject(body.generationConfig) ? body.generationConfig : {}
    return {
      wantsUsageEvent: true,
      choices: typeof config.candidateCount === 'number' ? config.candidateCount : 1,
      lastUserText: textOf(users.at(-1)?.parts),
    }
  },

  refuse(body, _headers, signatures) {
    const unknown = unknownMember(body, bodyMembers)
    if (unknown) return unknownName(unknown, 'root')
    const contents = asList(body.contents)
    if (contents.length === 0) return '* GenerateContentRequest.contents: contents is not specified'
    return refuseSchemas(body) ?? refuseContents(contents) ?? refuseSignatures(contents, signatures)
  },

  writeAnswer(plan) {
    return response(plan, answerParts(plan), true)
  },

  /** Usage in every chunk, each one replacing the last. */
  writeEvents(plan) {
    if (plan.promptBlockReason !== null) return [{ data: response(plan, [], true) }]
    const parts = [
      ...plan.reasoningPieces.map((text) => ({ text, thought: true })),
      ...(plan.refusal === null ? plan.textPieces : [plan.refusal]).map((text) => ({ text })),
      ...toolParts(plan),
    ]
    const events: VendorEvent[] = parts.map((part) => ({ data: response(plan, [part], false) }))
    events.push({ data: response(plan, [{ text: '', ...textSignature(plan) }], true), isTerminator: true })
    return events
  },

  writeError(error) {
    return {
      error: {
        code: error.status,
        message: error.message,
        status: error.type ?? statuses[error.status] ?? (error.status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT'),
        details: details(error.retryAfter),
      },
    }
  },

  writeErrorEvent(error) {
    return { data: gemini.writeError(error) }
  },

  /** Pages of two, so that whoever stops at the first page is found out. */
  writeModels(ids, query) {
    const from = Number(query.get('pageToken') ?? 0)
    const limit = Math.min(Number(query.get('pageSize') ?? 2), 2)
    const next = from + limit
    return {
      models: ids.slice(from, next).map((id) => gemini.writeModel(id)),
      ...(next < ids.length && { nextPageToken: String(next) }),
    }
  },

  writeModel(id) {
    return {
      name: `models/${id}`,
      version: '001',
      displayName: id,
      inputTokenLimit: 1_048_576,
      outputTokenLimit: 65_536,
      supportedGenerationMethods: ['generateContent', 'countTokens'],
    }
  },

  headers() {
    return { 'server-timing': 'gfet4t7; dur=12', 'x-frame-options': 'SAMEORIGIN', vary: 'Origin, X-Origin, Referer' }
  },
}

const bodyMembers = new Set(
  `contents systemInstruction system_instruction tools toolConfig tool_config safetySettings safety_settings
  generationConfig generation_config cachedContent cached_content store serviceTier service_tier model`.split(/\s+/),
)

const statuses: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
}

const finishReasons: Record<string, string> = {
  stop: 'STOP',
  tool_calls: 'STOP',
  length: 'MAX_TOKENS',
  content_filter: 'SAFETY',
}

function answerParts(plan: AnswerPlan): Json[] {
  const visible = plan.refusal ?? plan.text
  return [
    ...(plan.reasoning === '' ? [] : [{ text: plan.reasoning, thought: true }]),
    ...(visible === '' ? [] : [{ text: visible, ...textSignature(plan) }]),
    ...toolParts(plan),
  ]
}

/** An answer without calls is signed on its text: whole on the text itself, streamed on an empty one at the end. */
function textSignature(plan: AnswerPlan): Json {
  return plan.sign && plan.toolCalls.length === 0 ? { thoughtSignature: plan.sign() } : {}
}

/** Only the first call of an answer carries the signature, and calls have no ids: both are the vendor's habit. */
function toolParts(plan: AnswerPlan): Json[] {
  return plan.toolCalls.map((call, index) => ({
    functionCall: { name: call.name, args: call.input },
    ...(index === 0 && plan.sign && { thoughtSignature: plan.sign() }),
  }))
}

function response(plan: AnswerPlan, parts: Json[], isLast: boolean): Json {
  const tail = {
    ...(plan.usage && { usageMetadata: usage(plan.usage, isLast) }),
    modelVersion: plan.model,
    responseId: plan.id,
  }
  if (plan.promptBlockReason !== null) return { promptFeedback: { blockReason: plan.promptBlockReason }, ...tail }
  const candidates = Array.from({ length: plan.choices }, (_, index) => ({
    content: { role: 'model', parts },
    ...(isLast && { finishReason: finishReasons[plan.finish] ?? plan.finish }),
    index,
  }))
  return { candidates, ...tail }
}

/** Thoughts are counted beside the candidates, not in them. */
function usage(counts: Usage, isLast: boolean): Json {
  const candidates = isLast ? counts.tokensOut - counts.tokensReasoning : 1
  return {
    promptTokenCount: counts.tokensIn,
    candidatesTokenCount: candidates,
    ...(counts.tokensCachedRead > 0 && { cachedContentTokenCount: counts.tokensCachedRead }),
    ...(counts.tokensReasoning > 0 && { thoughtsTokenCount: counts.tokensReasoning }),
    totalTokenCount: counts.tokensIn + candidates + counts.tokensReasoning,
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: counts.tokensIn }],
  }
}

function details(retryAfter: RetryAfter | undefined): Json[] {
  if (retryAfter?.form !== 'retry-info') return []
  return [
    { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaId: 'FakeRequestsPerMinute' }] },
    { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${retryAfter.ms / 1000}s` },
  ]
}

const unknownName = (name: string, at: string) =>
  `Invalid JSON payload received. Unknown name "${name}" at '${at}': Cannot find field.`

/** `parameters` and `responseSchema` are the vendor's own subset; only the …JsonSchema members take the rest. */
function refuseSchemas(body: Json): string | null {
  const config = (body.generationConfig ?? body.generation_config) as Json | undefined
  const declarations = asList(body.tools).flatMap((tool) =>
    isObject(tool) ? asList(tool.functionDeclarations ?? tool.function_declarations) : [],
  )
  const schemas: [string, unknown][] = [
    ['generation_config.response_schema', config?.responseSchema],
    ...declarations.map((declaration): [string, unknown] => [
      'tools[0].function_declarations[0].parameters',
      isObject(declaration) ? declaration.parameters : undefined,
    ]),
  ]
  for (const [at, schema] of schemas) {
    const name = unsupportedKeyword(schema)
    if (name) return unknownName(name, at)
  }
  return null
}

const unsupportedKeywords = new Set([
  '$schema',
  '$ref',
  '$defs',
  'definitions',
  'additionalProperties',
  'const',
  'allOf',
])

function unsupportedKeyword(schema: unknown): string | null {
  if (!isObject(schema)) return null
  const own = Object.keys(schema).find((name) => unsupportedKeywords.has(name))
  if (own) return own
  const children = [
    ...(isObject(schema.properties) ? Object.values(schema.properties) : []),
    schema.items,
    ...asList(schema.anyOf),
  ]
  for (const child of children) {
    const found = unsupportedKeyword(child)
    if (found) return found
  }
  return null
}

/**
 * Roles, non-empty parts, and as many function responses as calls right after them. Google's own clients keep one content
 * a chunk of a stream, so neighbouring contents of the model are one turn.
 */
function refuseContents(contents: unknown[]): string | null {
  let openCalls = 0
  let roleBefore: unknown
  for (const content of contents) {
    if (!isObject(content)) return unknownName('contents', 'contents')
    if (content.role !== undefined && content.role !== 'user' && content.role !== 'model')
      return 'Please use a valid role: user, model.'
    const parts = asList(content.parts).filter(isObject)
    if (parts.length === 0) return '* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.'
    const responses = parts.filter((part) => part.functionResponse !== undefined).length
    const calls = parts.filter((part) => part.functionCall !== undefined).length
    const goesOn = content.role === 'model' && roleBefore === 'model'
    roleBefore = content.role
    if (goesOn) {
      openCalls += calls
      continue
    }
    if (responses !== openCalls)
      return 'Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.'
    openCalls = calls
  }
  return null
}

/** The vendor's own word for a call from a history that has no signature: https://ai.google.dev/gemini-api/docs/thought-signatures */
const skipped = 'skip_thought_signature_validator'

function refuseSignatures(contents: unknown[], isOurs: SignatureCheck | null): string | null {
  if (isOurs === null) return null
  let isSigned = false
  for (const content of contents) {
    if (!isObject(content)) continue
    // One signature speaks for all calls of a turn, in however many contents it came.
    if (content.role !== 'model') isSigned = false
    const isForeign = (part: unknown) =>
      isObject(part) &&
      part.thoughtSignature !== undefined &&
      part.thoughtSignature !== skipped &&
      !isOurs(part.thoughtSignature)
    if (asList(content.parts).some(isForeign)) return 'Thought signature is not valid.'
    const call = asList(content.parts).find((part) => isObject(part) && part.functionCall !== undefined) as Json
    if (!call || isSigned) continue
    isSigned = true
    if (call.thoughtSignature !== skipped && !isOurs(call.thoughtSignature))
      return 'Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly.'
  }
  return null
}
