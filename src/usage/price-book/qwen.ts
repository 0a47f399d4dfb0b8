import type { Line, Page, Tier } from './page.ts'

/** International (Singapore) prices. Reading the cache costs 40 % of the input. */
const source = 'Alibaba Cloud Model Studio, https://www.alibabacloud.com/help/en/model-studio/billing-for-model-studio'
const lines: readonly Line[] = [
  { models: 'qwen-max', from: '2025-01-25', input: '1.6', read: '0.64', output: '6.4' },
  { models: 'qwen-plus', from: '2025-01-25', input: '0.4', read: '0.16', output: '1.2' },
  { models: 'qwen-turbo', from: '2025-01-25', input: '0.05', read: '0.02', output: '0.2' },
]
const tiers: readonly Tier[] = [
  { models: 'qwen-max qwen-plus qwen-turbo', tier: 'batch', from: '2025-01-25', percent: 50 },
]

export const qwenPrices: Page = { source, lines, tiers }
