import { type CallSize, estimateTokensOfBytes, type Prices } from '../usage/calls.ts'
import type { Candidate, ServedModel } from './models.ts'
import type { AskedFacts } from './protocols/protocol.ts'

/** How much a call may use at most: all of its input fresh, all of its output used, at the dearest of `candidates`. */
export function sizeOf(
  { maxOutputTokens, choices }: Pick<AskedFacts, 'maxOutputTokens' | 'choices'>,
  body: Buffer | null,
  candidates: readonly Candidate[],
  model: ServedModel,
  startedAt: number,
  prices: Pick<Prices, 'cost'>,
): CallSize {
  const most = maxOutputTokens ?? model.maxOutputTokens
  return {
    tokensIn: body === null ? 0 : estimateTokensOfBytes(body),
    tokensOut: most === null ? null : most * Math.max(1, choices),
    cost(tokensIn, tokensOut) {
      let dearest: number | null = null
      for (const { provider, providerModel } of candidates) {
        const { nanoUsd } = prices.cost({
          ...{ startedAt, tokensIn, tokensOut, tokensCachedRead: 0, tokensCachedWrite: 0 },
          ...{ providerType: provider.billedAs, modelAsked: model.name, modelServed: providerModel },
          ...{ outcome: 'success', usageSource: 'estimated' },
        })
        if (nanoUsd !== null && (dearest === null || nanoUsd > dearest)) dearest = nanoUsd
      }
      return dearest
    },
  }
}
