import type { ServiceTier, UsageDetails } from '../../usage/index.ts'
import type { ChatUsage } from '../chat.ts'

/** Adds to `usage` what few answers have; null and 0 leave it as it is, so that common answers keep one shape. */
export function addDetails(usage: ChatUsage, details: Details): ChatUsage {
  for (const name in details) {
    const amount = details[name as keyof UsageDetails]
    if (amount !== undefined && amount !== null && amount > 0) usage[name as keyof UsageDetails] = amount
  }
  return usage
}

type Details = { [name in keyof UsageDetails]?: number | null }

/**
 * The tier a provider says it served under, as prices know it; `default`, `standard`, `scale` and what nobody knows are
 * the usual one. Vendors name more tiers than they price (https://developers.openai.com/api/docs/pricing).
 */
export function addTier(usage: ChatUsage, tier: unknown): ChatUsage {
  const known = tiers.get(tier)
  if (known !== undefined) usage.serviceTier = known
  return usage
}

const tiers = new Map<unknown, ServiceTier>([
  ['batch', 'batch'],
  ['flex', 'flex'],
  ['priority', 'priority'],
  // OpenAI's newer name of the same.
  ['fast', 'priority'],
  // Gemini's trafficType on Vertex AI.
  ['ON_DEMAND_FLEX', 'flex'],
  ['ON_DEMAND_PRIORITY', 'priority'],
])
