import type { RequestContext } from '../http/context.ts'
import type { Clock } from '../kernel/clock.ts'
import { createSpanId } from '../kernel/trace.ts'
import { type Attributes, httpError, type Span } from '../platform/tracing/tracer.ts'
import type { UsageEntry } from '../usage/index.ts'
import type { Candidate } from './models.ts'

/** Of a request, what its spans need. */
export type Traced = Pick<
  RequestContext,
  'tracer' | 'traceId' | 'traceFlags' | 'traceState' | 'spanId' | 'callSpanId' | 'startedAt' | 'startedMono'
>

// What OpenTelemetry calls them; others have the names that they have here.
const vendors: Record<string, string> = {
  'azure-openai': 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  google: 'gcp.gemini',
  vertex: 'gcp.vertex_ai',
  mistral: 'mistral_ai',
  moonshot: 'moonshot_ai',
  xai: 'x_ai',
}

/**
 * A call of a model, once its row is written down: `entry` tells all of it. `said` is what was asked and answered, where
 * that is captured. https://github.com/open-telemetry/semantic-conventions-genai (status: development)
 */
export function recordCall(traced: Traced, entry: UsageEntry, clock: Clock, said: Attributes = {}): void {
  // Turned away before anybody knew what it was about: the request's own span tells of it.
  if (traced.tracer === null || entry.modelAsked === '') return
  const operation = operationOf(entry.endpoint)
  record(traced, clock, {
    name: `${operation} ${entry.modelAsked}`,
    kind: 'client',
    ...{ spanId: traced.callSpanId, parentSpanId: traced.spanId },
    startedMono: traced.startedMono,
    attributes: {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': vendors[entry.providerType] ?? entry.providerType,
      'gen_ai.request.model': entry.modelAsked,
      'gen_ai.request.stream': entry.stream,
      'gen_ai.response.model': entry.modelServed,
      'gen_ai.response.id': entry.id,
      'gen_ai.response.finish_reasons': entry.finishReason === '' ? undefined : [entry.finishReason],
      'gen_ai.response.time_to_first_chunk': entry.firstTokenMs === null ? undefined : entry.firstTokenMs / 1000,
      ...usageOf(entry),
      'gen_ai.conversation.id': entry.sessionId,
      'session.id': entry.sessionId,
      'user.id': entry.userId,
      'gatehouse.tenant_id': entry.tenantId,
      'gatehouse.key_id': entry.keyId,
      'gatehouse.agent': entry.agent,
      'gatehouse.service': entry.service,
      'gatehouse.provider': entry.providerName,
      'gatehouse.outcome': entry.outcome,
      'gatehouse.attempts': entry.attempts.length,
      'gatehouse.cache': entry.cacheHit,
      'gatehouse.usage_source': entry.usageSource,
      ...said,
    },
    error: entry.errorCode === '' ? null : { type: entry.errorCode, message: entry.errorMessage },
  })
}

function usageOf(entry: UsageEntry): Attributes {
  const isKnown = entry.tokensIn > 0 || entry.tokensOut > 0
  if (!isKnown) return {}
  return {
    'gen_ai.usage.input_tokens': entry.tokensIn,
    'gen_ai.usage.output_tokens': entry.tokensOut,
    'gen_ai.usage.cache_read.input_tokens': entry.tokensCachedRead || undefined,
    'gen_ai.usage.cache_creation.input_tokens': entry.tokensCachedWrite || undefined,
    'gen_ai.usage.reasoning.output_tokens': entry.tokensReasoning || undefined,
  }
}

/** One provider asked once. `failure` null: it answered. */
export function recordAttempt(
  traced: Traced,
  clock: Clock,
  { provider, providerModel, key }: Candidate,
  attempt: { spanId: string; startedMono: number; waitedMs: number },
  failure: { code: string; status: number; message?: string } | null,
): void {
  if (traced.tracer === null) return
  const { hostname, port, protocol } = new URL(provider.origin)
  record(traced, clock, {
    name: `POST ${provider.name}`,
    kind: 'client',
    ...{ spanId: attempt.spanId, parentSpanId: traced.callSpanId },
    startedMono: attempt.startedMono,
    attributes: {
      'http.request.method': 'POST',
      'http.response.status_code': failure === null ? 200 : failure.status || undefined,
      'server.address': hostname,
      'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
      'gatehouse.provider': provider.name,
      'gatehouse.provider_model': providerModel,
      'gatehouse.provider_key_id': key.id,
      'gatehouse.waited_ms': attempt.waitedMs || undefined,
    },
    error: failure === null ? null : { type: failure.code, message: failure.message ?? '' },
  })
}

/** A step of the hub's own, such as asking who calls. */
export function recordStep(
  traced: Traced,
  clock: Clock,
  name: 'authenticate' | 'settle',
  startedMono: number,
  error: { code: string; message: string; status: number } | null = null,
): void {
  if (traced.tracer === null) return
  record(traced, clock, {
    ...{ name, kind: 'internal', spanId: createSpanId(), parentSpanId: traced.spanId, startedMono, attributes: {} },
    error: error && { ...httpError(error.status, 0, error.code)!, message: error.message },
  })
}

function record(
  traced: Traced,
  clock: Clock,
  { startedMono, ...span }: Omit<Span, 'startMs' | 'endMs'> & { startedMono: number },
): void {
  const epochOf = (mono: number) => traced.startedAt + mono - traced.startedMono
  traced.tracer?.record(traced, { ...span, startMs: epochOf(startedMono), endMs: epochOf(clock.monotonic()) })
}

/** `/v1/chat/completions` is `chat`; what OpenTelemetry has no word for is named as its path is. */
function operationOf(endpoint: string): string {
  if (endpoint.endsWith('/embeddings') || /:(?:batchE|e)mbedContents?$/.test(endpoint)) return 'embeddings'
  if (/:(?:g|streamG)enerateContent$/.test(endpoint)) return 'generate_content'
  if (endpoint === '/v1/completions') return 'text_completion'
  if (/^\/v1\/(?:chat\/completions|messages|responses)$/.test(endpoint)) return 'chat'
  return endpoint
    .replace(/^\/v1(?:beta)?\//, '')
    .replace(/^models\/\{model\}:/, '')
    .replaceAll('/', '.')
}
