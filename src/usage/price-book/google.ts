import type { Line, Page, Tier } from './page.ts'

const source = 'Gemini API price list, https://ai.google.dev/gemini-api/docs/pricing'
const lines: readonly Line[] = [
  {
    ...{ models: 'gemini-2.5-pro', from: '2025-06-17', input: '1.25', read: '0.125', output: '10' },
    long: { above: 200_000, input: '2.5', read: '0.25', output: '15' },
  },
  { models: 'gemini-2.5-flash', from: '2025-06-17', input: '0.3', read: '0.03', output: '2.5', audioIn: '1' },
  { models: 'gemini-2.5-flash-lite', from: '2025-07-22', input: '0.1', read: '0.01', output: '0.4', audioIn: '0.3' },
  { models: 'gemini-2.5-flash-image', from: '2025-08-26', input: '0.3', output: '2.5', imageOut: '30' },
  { models: 'gemini-embedding-001', from: '2025-07-14', input: '0.15', output: '0' },
  {
    ...{ models: 'gemini-embedding-2-preview', from: '2026-03-10', input: '0.2', output: '0' },
    ...{ imageIn: '0.45', audioIn: '6.5' },
  },
  { models: 'imagen-4.0-fast-generate-001', from: '2025-08-14', input: '0', output: '0', perImage: '0.02' },
  { models: 'imagen-4.0-generate-001', from: '2025-08-14', input: '0', output: '0', perImage: '0.04' },
  { models: 'imagen-4.0-ultra-generate-001', from: '2025-08-14', input: '0', output: '0', perImage: '0.06' },
  {
    ...{ models: 'gemini-3-pro-preview', from: '2025-11-18', input: '2', read: '0.2', output: '12' },
    long: { above: 200_000, input: '4', read: '0.4', output: '18' },
  },
  { models: 'gemini-3-flash-preview', from: '2025-12-17', input: '0.5', read: '0.05', output: '3', audioIn: '1' },
  {
    ...{ models: 'gemini-3.1-pro-preview', from: '2026-02-19', input: '2', read: '0.2', output: '12' },
    long: { above: 200_000, input: '4', read: '0.4', output: '18' },
  },
  {
    ...{ models: 'gemini-3.1-flash-lite gemini-3.1-flash-lite-preview', from: '2026-03-03' },
    ...{ input: '0.25', read: '0.025', output: '1.5' },
  },
  { models: 'gemini-3.5-flash', from: '2026-05-19', input: '1.5', read: '0.15', output: '9' },
  // Announced with its end: half price through 2026.
  { models: 'gemini-3.8-flash', from: '2026-09-02', input: '0.75', read: '0.075', output: '3.75' },
  { models: 'gemini-3.8-flash', from: '2027-01-01', input: '1.5', read: '0.15', output: '7.5' },
]

/**
 * Since August 2026 DeepSeek halves its prices outside peak hours. The book holds the peak price: a bill may be lower
 * than the ledger says, never higher.
 */

const tiers: readonly Tier[] = [{ models: 'gemini-*', tier: 'batch', from: '2025-07-07', percent: 50 }]

export const googlePrices: Page = { source, lines, tiers }
