import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { account, detailsOf } from '../../src/gateway/account.ts'
import { readUsage as readAnthropic } from '../../src/gateway/protocols/anthropic-messages/read-usage.ts'
import { readUsage as readGemini } from '../../src/gateway/protocols/gemini/read-parts.ts'
import { readUsage as readOpenai } from '../../src/gateway/protocols/openai-chat/usage.ts'
import { priceBook } from '../../src/usage/price-book/index.ts'
import { createPriceList } from '../../src/usage/price-list.ts'

/** One body as the vendor sends it, and its line on the bill worked out by hand: tokens times nano-dollars a token. */
type Invoice = {
  name: string
  reader: keyof typeof readers
  provider_type: string
  model: string
  at: string
  usage: Record<string, unknown>
  /** Where the vendor tells it beside the usage. */
  service_tier?: string
  invoice: string[]
  nano_usd: number | null
}

const readers = {
  'openai-chat': readOpenai,
  'anthropic-messages': (usage: unknown) => readAnthropic(usage),
  gemini: (usage: unknown) => readGemini(usage),
}

const book = createPriceList(priceBook(0))
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.json'))

describe.each(files)('4.12.46 golden invoices of %s', (file) => {
  const invoices = JSON.parse(readFileSync(join(import.meta.dirname, file), 'utf8')) as Invoice[]

  test.each(invoices)('$name', ({ reader, provider_type, model, at, usage: wire, service_tier, nano_usd }) => {
    const read = readers[reader](wire, service_tier)
    const spent = { usage: read, contentBytes: 5000, contentEvents: 90 }
    const { usage, usageSource } = account(spent, null, true)
    expect(usageSource).toBe('upstream')
    const { nanoUsd } = book.cost({
      ...{ startedAt: Date.parse(at), providerType: provider_type, modelAsked: 'fast', modelServed: model },
      ...{ outcome: 'success', usageSource, details: detailsOf(usage), serviceTier: usage.serviceTier ?? '' },
      ...{ tokensIn: usage.tokensIn, tokensOut: usage.tokensOut },
      ...{ tokensCachedRead: usage.tokensCachedRead, tokensCachedWrite: usage.tokensCachedWrite },
    })
    expect(nanoUsd).toBe(nano_usd)
  })
})

test('5.4.32 the whole input of Anthropic is what is fresh, written and read; TTLs, searches and the tier are kept apart', () => {
  expect(
    readAnthropic({
      ...{ input_tokens: 5, cache_creation_input_tokens: 30, cache_read_input_tokens: 200, output_tokens: 7 },
      cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
      ...{ server_tool_use: { web_search_requests: 2 }, service_tier: 'priority', inference_geo: 'us' },
    }),
  ).toEqual({
    ...{ tokensIn: 235, tokensOut: 7, tokensCachedRead: 200, tokensCachedWrite: 30, tokensReasoning: 0 },
    ...{ tokensCachedWrite1h: 20, searches: 2, serviceTier: 'priority' },
  })
})

test('5.4.32 what message_start said of TTLs and searches stays when message_delta repeats only the output', () => {
  const start = readAnthropic({
    ...{ input_tokens: 5, cache_creation_input_tokens: 30, output_tokens: 1, service_tier: 'batch' },
    cache_creation: { ephemeral_5m_input_tokens: 10, ephemeral_1h_input_tokens: 20 },
  })
  expect(readAnthropic({ output_tokens: 40 }, start)).toMatchObject({
    ...{ tokensIn: 35, tokensOut: 40, tokensCachedWrite1h: 20, serviceTier: 'batch' },
  })
  expect(readAnthropic({ output_tokens: 40, server_tool_use: { web_search_requests: 3 } }, start)).toMatchObject({
    ...{ searches: 3, tokensCachedWrite1h: 20 },
  })
})

test('5.5.39 thoughts of Gemini are output beside the candidates, tool prompts are input, and modalities are told apart', () => {
  expect(
    readGemini({
      ...{ promptTokenCount: 100, cachedContentTokenCount: 40, candidatesTokenCount: 10, thoughtsTokenCount: 25 },
      ...{ toolUsePromptTokenCount: 8, totalTokenCount: 143 },
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 60 },
        { modality: 'AUDIO', tokenCount: 40 },
      ],
      toolUsePromptTokensDetails: [{ modality: 'IMAGE', tokenCount: 8 }],
    }),
  ).toEqual({
    ...{ tokensIn: 108, tokensOut: 35, tokensCachedRead: 40, tokensCachedWrite: 0, tokensReasoning: 25 },
    ...{ tokensAudioIn: 40, tokensImageIn: 8 },
  })
})

test('5.3.25 a Responses usage is read with its details, also of an answer that ended incomplete', () => {
  expect(
    readOpenai({
      ...{ input_tokens: 50, input_tokens_details: { cached_tokens: 20, cache_write_tokens: 10 } },
      ...{ output_tokens: 9, output_tokens_details: { reasoning_tokens: 4 }, total_tokens: 59 },
    }),
  ).toEqual({ tokensIn: 50, tokensOut: 9, tokensCachedRead: 20, tokensCachedWrite: 10, tokensReasoning: 4 })
})
