import { fail } from '../../kernel/errors.ts'
import type { Candidate, ServedModel } from '../models.ts'
import type { Needs } from '../protocols/protocol.ts'

/**
 * The candidates in the order they are to be tried: higher priority first, and inside a tier drawn by weight, so that
 * the first place and every later one is shared in proportion. A weight of 0 is tried only when its tier has no other.
 *
 * @throws HubError `no_provider` when the model has no enabled way to be served, `unsupported_parameter` when it has
 *   but none can do what the request needs.
 */
export function planRoute(model: ServedModel, needs: Needs, random: () => number): Candidate[] {
  if (model.candidates.length === 0) {
    throw fail(
      'no_provider',
      `No enabled provider serves the model '${model.name}'. Associate one with it, or enable it.`,
      {
        retryAfterMs: 30_000,
      },
    )
  }
  const able = model.candidates.filter((candidate) => canServe(candidate, needs))
  if (able.length === 0) throw refuseNeeds(model, needs)
  if (able.length === 1) return able

  const tiers = new Map<number, Candidate[]>()
  for (const candidate of able) {
    const tier = tiers.get(candidate.priority)
    if (tier) tier.push(candidate)
    else tiers.set(candidate.priority, [candidate])
  }
  return [...tiers.entries()].sort(([a], [b]) => b - a).flatMap(([, tier]) => drawByWeight(tier, random))
}

function canServe({ can }: Candidate, needs: Needs): boolean {
  return (
    // What a provider can do is known; what a request needs may have to be searched for.
    (can.tools || !needs.tools) && (can.structuredOutput || !needs.structuredOutput) && (can.images || !needs.images())
  )
}

function refuseNeeds(model: ServedModel, needs: Needs) {
  const missing = (
    [
      ['tools', needs.tools, (c: Candidate) => c.can.tools],
      ['response_format', needs.structuredOutput, (c: Candidate) => c.can.structuredOutput],
      ['messages', needs.images(), (c: Candidate) => c.can.images],
    ] as const
  ).find(([, needed, can]) => needed && !model.candidates.some(can))
  const param = missing?.[0] ?? 'messages'
  const what = { tools: 'tools', response_format: 'structured output', messages: 'images' }[param]
  return fail(
    'unsupported_parameter',
    missing
      ? `No provider of the model '${model.name}' can handle ${what}.`
      : `No single provider of the model '${model.name}' can handle everything this request asks for.`,
    { param },
  )
}

/** Draws without replacement: each next place goes to a candidate with probability weight / sum of what is left. */
function drawByWeight(tier: readonly Candidate[], random: () => number): Candidate[] {
  const left = [...tier]
  const drawn: Candidate[] = []
  while (left.length > 0) {
    const total = left.reduce((sum, candidate) => sum + candidate.weight, 0)
    let point = random() * total
    let pick = left.findIndex((candidate) => {
      point -= candidate.weight
      return point < 0
    })
    // All weights 0: any of them is as good as another.
    if (pick === -1) pick = Math.floor(random() * left.length)
    drawn.push(...left.splice(pick, 1))
  }
  return drawn
}
