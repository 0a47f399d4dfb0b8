import type { Line, Page, Tier } from './page.ts'

const source = 'Moonshot AI price list, https://platform.kimi.ai/docs/pricing/chat-k3'
const lines: readonly Line[] = [{ models: 'kimi-k3', from: '2026-07-16', input: '3', read: '0.3', output: '15' }]
const tiers: readonly Tier[] = [{ models: 'kimi-*', tier: 'batch', from: '2026-07-16', percent: 50 }]

export const moonshotPrices: Page = { source, lines, tiers }
