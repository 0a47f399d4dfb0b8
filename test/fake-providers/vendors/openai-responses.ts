import type { Usage, VendorError } from '../behaviour.ts'
import { type AnswerPlan, asList, isObject, type Json, textOf, unknownMember, type VendorEvent } from './vendor.ts'

/** Responses as specified at https://platform.openai.com/docs/api-reference/responses. */
export const responsesPath = '/v1/responses'

export function readResponsesCall(body: Json) {
  const items = asList(body.input).filter(isObject)
  const users = items.filter((item) => item.role === 'user')
  const lastUserText = typeof body.input === 'string' ? body.input : textOf(users.at(-1)?.content)
  return { wantsUsageEvent: true, choices: 1, lastUserText }
}

/** What is kept at OpenAI, as far as a relay needs to see that it was asked for the right thing. */
export function cannedResponse(method: string, rest: string): Json | null {
  const [id = '', verb] = rest.split('/')
  const kept = { id, object: 'response', status: 'completed', model: 'fake-large', output: [] }
  if (method === 'POST' && id === 'input_tokens') return { object: 'response.input_tokens', input_tokens: 11 }
  if (method === 'POST' && id === 'compact') {
    const item = { id: 'cmp_fake', type: 'compaction', encrypted_content: 'gAAAAABcompact' }
    const usage = { input_tokens: 30, output_tokens: 5, total_tokens: 35 }
    return { id: 'resp_compacted', object: 'response.compaction', created_at: 1, output: [item], usage }
  }
  if (method === 'GET' && verb === undefined) return kept
  if (method === 'GET' && verb === 'input_items') return { object: 'list', data: [], has_more: false }
  if (method === 'DELETE' && verb === undefined) return { id, object: 'response', deleted: true }
  return method === 'POST' && verb === 'cancel' ? { ...kept, status: 'cancelled' } : null
}

const knownMembers = new Set(
  [
    'background context_management conversation include input instructions max_output_tokens max_tool_calls metadata',
    'model parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_retention reasoning',
    'safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p',
    'truncation user',
  ].flatMap((line) => line.split(' ')),
)

/** What it gives out as its thinking, and takes back. */
const sealed = 'gAAAAABfake'

const isSpoken = ({ type, role }: Json) =>
  role === 'assistant' || ['function_call', 'custom_tool_call', 'reasoning', 'item_reference'].includes(String(type))

/** The complaint OpenAI would answer 400 with, or null. */
export function refuseResponsesCall(body: Json): string | null {
  if (typeof body.model !== 'string') return "Missing required parameter: 'model'."
  if (body.input === undefined && body.previous_response_id === undefined) return "Missing required parameter: 'input'."
  const unknown = unknownMember(body, knownMembers)
  if (unknown !== null) return `Unknown parameter: '${unknown}'.`
  if (typeof body.max_output_tokens === 'number' && body.max_output_tokens < 16)
    return "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16."
  if (body.background === true && body.store === false) return "'background' requires 'store' to be true."
  if (typeof body.input === 'string' || body.input === undefined) return null
  const calls = new Set<unknown>()
  for (const [place, item] of asList(body.input).entries()) {
    if (!isObject(item)) return `Invalid type for 'input[${place}]': expected an object.`
    if (item.type === 'function_call') calls.add(item.call_id)
    const isAnswer = item.type === 'function_call_output' && body.previous_response_id === undefined
    if (isAnswer && !calls.has(item.call_id)) return `No tool call found for function call output ${item.call_id}.`
    if (item.type === 'reasoning' && (item.encrypted_content ?? sealed) !== sealed)
      return 'The encrypted content could not be verified.'
    const next = asList(body.input)[place + 1]
    if (item.type === 'reasoning' && (!isObject(next) || !isSpoken(next)))
      return `Item '${item.id}' of type 'reasoning' was provided without its required following item.`
  }
  return null
}

export function writeResponse(plan: AnswerPlan): Json {
  return response(plan, status(plan), items(plan), plan.usage ? usage(plan.usage) : null)
}

export function writeResponseEvents(plan: AnswerPlan): VendorEvent[] {
  const events: VendorEvent[] = []
  const say = (type: string, members: Json, isTerminator = false) => {
    const data = { type, sequence_number: events.length, ...members }
    events.push({ event: type, data, ...(isTerminator && { isTerminator }) })
  }
  const begun = response(plan, 'in_progress', [], null)
  say('response.created', { response: begun })
  say('response.in_progress', { response: begun })
  const all = items(plan)
  const rounds: (() => void)[][] = []
  for (const [output_index, item] of all.entries()) {
    const at = { item_id: item.id, output_index }
    const steps: (() => void)[] = []
    const step = (type: string, members: Json) => steps.push(() => say(type, { ...members }))
    if (item.type === 'message') {
      step('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', content: [] } })
      asList(item.content).forEach((part, content_index) => {
        const place = { ...at, content_index }
        if (!isObject(part)) return
        const isText = part.type === 'output_text'
        const empty = isText ? { ...part, text: '' } : { ...part, refusal: '' }
        step('response.content_part.added', { ...place, part: empty })
        const pieces = isText ? plan.textPieces : [String(part.refusal)]
        for (const delta of pieces) {
          const more = isText ? { logprobs: [], obfuscation: 'xYz1' } : {}
          step(isText ? 'response.output_text.delta' : 'response.refusal.delta', { ...place, delta, ...more })
        }
        if (isText) step('response.output_text.done', { ...place, text: part.text, logprobs: [] })
        else step('response.refusal.done', { ...place, refusal: part.refusal })
        step('response.content_part.done', { ...place, part })
      })
    } else if (item.type === 'reasoning') {
      step('response.output_item.added', { output_index, item: { ...item, summary: [], encrypted_content: '' } })
      const place = { ...at, summary_index: 0 }
      step('response.reasoning_summary_part.added', { ...place, part: { type: 'summary_text', text: '' } })
      for (const delta of plan.reasoningPieces) step('response.reasoning_summary_text.delta', { ...place, delta })
      step('response.reasoning_summary_text.done', { ...place, text: plan.reasoning })
      step('response.reasoning_summary_part.done', { ...place, part: { type: 'summary_text', text: plan.reasoning } })
    } else {
      const call = plan.toolCalls.find(({ id }) => id === item.call_id)
      step('response.output_item.added', { output_index, item: { ...item, status: 'in_progress', arguments: '' } })
      for (const delta of call?.pieces ?? []) step('response.function_call_arguments.delta', { ...at, delta })
      step('response.function_call_arguments.done', { ...at, arguments: item.arguments, name: item.name })
    }
    step('response.output_item.done', { output_index, item })
    rounds.push(steps)
  }
  if (plan.areToolCallsInterleaved) {
    const isCall = all.map(({ type }) => type === 'function_call')
    for (const [i, steps] of rounds.entries()) if (!isCall[i]) for (const run of steps) run()
    const calls = rounds.filter((_, i) => isCall[i])
    const longest = Math.max(0, ...calls.map(({ length }) => length))
    for (let turn = 0; turn < longest; turn++) for (const steps of calls) steps[turn]?.()
  } else for (const steps of rounds) for (const run of steps) run()
  say(`response.${status(plan)}`, { response: writeResponse(plan) }, true)
  return events
}

export function writeResponsesErrorEvent(error: VendorError & { message: string }): VendorEvent {
  const code = error.code ?? 'server_error'
  const { message, param = null } = error
  return { event: 'error', data: { type: 'error', sequence_number: 99, code, message, param } }
}

/** As told when `include` asks for them; here always. */
const logprobs = [{ token: 'Hi', logprob: -0.1, bytes: [72, 105], top_logprobs: [] }]

/** Ids are the vendor's for ever, so those of two fakes differ by what they serve. */
function stemOf({ id, model }: AnswerPlan): string {
  return `${id.replace('chatcmpl-', '')}_${model}`.replace(/\W/g, '')
}

function status(plan: AnswerPlan): string {
  return plan.finish === 'length' || plan.finish === 'content_filter' ? 'incomplete' : 'completed'
}

function items(plan: AnswerPlan): Json[] {
  const made: Json[] = []
  const id = (prefix: string) => `${prefix}_${stemOf(plan)}_${made.length}`
  if (plan.reasoning !== '') {
    const summary = [{ type: 'summary_text', text: plan.reasoning }]
    made.push({ id: id('rs'), type: 'reasoning', summary, encrypted_content: sealed })
  }
  const content: Json[] = []
  if (plan.text !== '') content.push({ type: 'output_text', text: plan.text, annotations: [], logprobs })
  if (plan.refusal !== null) content.push({ type: 'refusal', refusal: plan.refusal })
  if (content.length > 0) {
    made.push({ id: id('msg'), type: 'message', status: 'completed', role: 'assistant', content })
  }
  for (const call of plan.toolCalls) {
    const { id: call_id, name, arguments: text } = call
    made.push({ id: id('fc'), type: 'function_call', status: 'completed', call_id, name, arguments: text })
  }
  return made
}

function response(plan: AnswerPlan, state: string, output: Json[], counted: Json | null): Json {
  const reason = plan.finish === 'length' ? 'max_output_tokens' : 'content_filter'
  return {
    id: `resp_${stemOf(plan)}`,
    object: 'response',
    created_at: plan.createdSeconds,
    status: state,
    background: false,
    error: null,
    incomplete_details: state === 'incomplete' ? { reason } : null,
    instructions: null,
    max_output_tokens: null,
    metadata: {},
    model: plan.model,
    output,
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: true,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage: counted,
    user: null,
  }
}

function usage(counts: Usage): Json {
  return {
    input_tokens: counts.tokensIn,
    input_tokens_details: { cached_tokens: counts.tokensCachedRead },
    output_tokens: counts.tokensOut,
    output_tokens_details: { reasoning_tokens: counts.tokensReasoning },
    total_tokens: counts.tokensIn + counts.tokensOut,
  }
}
