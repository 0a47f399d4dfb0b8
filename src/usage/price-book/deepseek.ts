import type { Line, Page } from './page.ts'

const source = 'DeepSeek price list (peak hours), https://api-docs.deepseek.com/quick_start/pricing'
const lines: readonly Line[] = [
  { models: 'deepseek-chat deepseek-reasoner', from: '2025-09-29', input: '0.28', read: '0.028', output: '0.42' },
  { models: 'deepseek-chat deepseek-reasoner', from: '2026-04-26', input: '0.14', read: '0.0028', output: '0.28' },
  { models: 'deepseek-v4-flash', from: '2026-04-26', input: '0.14', read: '0.0028', output: '0.28' },
  { models: 'deepseek-v4-flash', from: '2026-08-17', input: '0.44', read: '0.014', output: '1.32' },
  { models: 'deepseek-flash deepseek-v4-flash', from: '2026-09-10', input: '0.3', read: '0.006', output: '1.2' },
  { models: 'deepseek-v4-pro', from: '2026-04-26', input: '0.435', read: '0.003625', output: '0.87' },
  { models: 'deepseek-v4-pro', from: '2026-08-17', input: '1.32', read: '0.044', output: '3.96' },
]

export const deepseekPrices: Page = { source, lines, tiers: [] }
