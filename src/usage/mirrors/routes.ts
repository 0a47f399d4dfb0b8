import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import { readTime } from '../logs.ts'
import { getMirror, listMirrors, summariseMirrors } from './mirrors.ts'
import { mirrorDifferences } from './schema.ts'
import type { MirrorFilter, MirrorStore } from './store.ts'

const count = z.number().int()
const share = z.number().nullable()

const side = z.object({
  model: z.string().describe('As asked of the hub.'),
  provider_name: z.string(),
  status: count,
  error_code: z.string(),
  latency_ms: count.describe('To the end of the answer.'),
  tokens_in: count,
  tokens_out: count,
  cost_nano_usd: count.nullable().describe('null when the price is unknown.'),
  cost_usd: z.string().nullable(),
  finish_reason: z.string(),
  schema_valid: z
    .boolean()
    .nullable()
    .describe('Whether the answer is the JSON that was asked for; null when none was, or there is no answer.'),
})

const mirrorReply = z.object({
  id: z.string().describe("The ledger's row of the second call."),
  request_id: z.string().describe("The caller's request."),
  started_at: z.string().describe('ISO 8601, UTC; when the second call began.'),
  tenant_id: z.string(),
  key_id: z.string(),
  first: side,
  second: side,
  equal: z.boolean().describe('Both answered, with the same text and the same calls of tools.'),
  similarity: share.describe(
    'Of the texts, 0 to 1: twice the pairs of neighbouring characters they share, by all they have (Sørensen–Dice), over the first 8192 characters with white space run together.',
  ),
  text_equal: z.boolean().nullable(),
  tool_calls_equal: z.boolean().nullable().describe('Same names and same arguments as JSON, in any order.'),
})

const answer = z
  .object({
    text: z.string(),
    tool_calls: z.array(z.object({ name: z.string(), arguments: z.string() })),
    is_cut: z.boolean().describe('It was longer than is kept.'),
  })
  .nullable()
  .describe('null unless the mirror of the model keeps texts.')

const summaryReply = z.object({
  model: z.string(),
  mirror_model: z.string(),
  count: count,
  answered: count.describe('Comparisons in which both answered; shares and ratios are of those.'),
  failed: count,
  mirror_failed: count,
  equal: count,
  equal_share: share,
  text_equal_share: share,
  similarity: share.describe('The mean.'),
  tool_calls_equal_share: share.describe('Of those in which a tool was called.'),
  schema_checked: count,
  schema_valid: count,
  mirror_schema_valid: count,
  latency_ratio: share.describe('Time of the second by that of the first.'),
  priced: count.describe('Those whose costs are both known.'),
  cost_nano_usd: count,
  mirror_cost_nano_usd: count,
  cost_ratio: share,
})

const span = {
  model: z.string().max(200).optional().describe('The model that was asked for.'),
  mirror_model: z.string().max(200).optional(),
  from: z.string().max(40).optional().describe('ISO 8601 or epoch ms, inclusive.'),
  to: z.string().max(40).optional().describe('ISO 8601 or epoch ms, exclusive.'),
}

/** `/api/mirrors`: what second models answered beside the first. */
export function mirrorRoutes(store: MirrorStore): Route[] {
  const shared = { method: 'GET', access: 'tenant_admin', tag: 'mirrors' } as const
  return [
    defineRoute({
      ...shared,
      path: '/api/mirrors',
      summary: 'Comparisons of two models that were asked the same, newest first.',
      query: z.strictObject({
        ...span,
        request_id: z.string().max(100).optional(),
        equal: z.enum(['true', 'false']).optional(),
        limit: z.coerce.number().int().min(1).max(200).default(50),
        cursor: z.string().max(500).optional(),
      }),
      reply: z.object({ data: z.array(mirrorReply), next_cursor: z.string().nullable() }),
      handle: ({ principal, query }) =>
        listMirrors(
          store,
          principal!,
          {
            ...filterOf(query),
            requestId: query.request_id,
            isEqual: query.equal === undefined ? undefined : query.equal === 'true',
          },
          query,
        ),
    }),
    defineRoute({
      ...shared,
      path: '/api/mirrors/summary',
      summary: 'Each pair of models: how often they agreed, and what the second cost and took beside the first.',
      query: z.strictObject(span),
      reply: z.array(summaryReply),
      handle: ({ principal, query }) => summariseMirrors(store, principal!, filterOf(query)),
    }),
    defineRoute({
      ...shared,
      path: '/api/mirrors/:id',
      summary: 'One comparison with what differed.',
      params: z.object({ id: z.string().max(100) }),
      reply: mirrorReply.extend({
        differences: z.array(
          z.object({
            what: z.enum(mirrorDifferences),
            at: count.nullable().describe('Of a text, its first character that differs; of calls of tools, which one.'),
            first: z.string().describe('Empty where texts are not kept.'),
            second: z.string(),
          }),
        ),
        answer,
        mirror_answer: answer,
      }),
      handle: async ({ principal, params }) => {
        const found = await getMirror(store, principal!, params.id)
        return { ...found, answer: answer.parse(found.answer), mirror_answer: answer.parse(found.mirror_answer) }
      },
    }),
  ]
}

type Span = {
  model?: string | undefined
  mirror_model?: string | undefined
  from?: string | undefined
  to?: string | undefined
}

function filterOf({ model, mirror_model, from, to }: Span): MirrorFilter {
  return {
    model,
    mirrorModel: mirror_model,
    from: from === undefined ? undefined : readTime(from, 'from'),
    to: to === undefined ? undefined : readTime(to, 'to'),
  }
}
