import type { Line, Page, Tier } from './page.ts'

const source = 'OpenAI price list, https://developers.openai.com/api/docs/pricing'
const lines: readonly Line[] = [
  { models: 'gpt-4o-mini gpt-4o-mini-2024-07-18', from: '2024-07-18', input: '0.15', read: '0.075', output: '0.6' },
  {
    models: 'gpt-4o gpt-4o-2024-08-06 gpt-4o-2024-11-20',
    from: '2024-08-06',
    input: '2.5',
    read: '1.25',
    output: '10',
  },
  { models: 'o3-mini o3-mini-2025-*', from: '2025-01-31', input: '1.1', read: '0.55', output: '4.4' },
  { models: 'gpt-4.1 gpt-4.1-2025-*', from: '2025-04-14', input: '2', read: '0.5', output: '8' },
  { models: 'gpt-4.1-mini gpt-4.1-mini-2025-*', from: '2025-04-14', input: '0.4', read: '0.1', output: '1.6' },
  { models: 'gpt-4.1-nano gpt-4.1-nano-2025-*', from: '2025-04-14', input: '0.1', read: '0.025', output: '0.4' },
  { models: 'o4-mini o4-mini-2025-*', from: '2025-04-16', input: '1.1', read: '0.275', output: '4.4' },
  { models: 'o3 o3-2025-*', from: '2025-06-10', input: '2', read: '0.5', output: '8' },
  { models: 'gpt-5 gpt-5-2025-*', from: '2025-08-07', input: '1.25', read: '0.125', output: '10' },
  { models: 'gpt-5-mini gpt-5-mini-2025-*', from: '2025-08-07', input: '0.25', read: '0.025', output: '2' },
  { models: 'gpt-5-nano gpt-5-nano-2025-*', from: '2025-08-07', input: '0.05', read: '0.005', output: '0.4' },
  { models: 'gpt-5.1 gpt-5.1-2025-*', from: '2025-11-13', input: '1.25', read: '0.125', output: '10' },
  { models: 'gpt-5.2 gpt-5.2-2025-*', from: '2025-12-11', input: '1.75', read: '0.175', output: '14' },
  {
    ...{ models: 'gpt-5.4 gpt-5.4-2026-*', from: '2026-03-05', input: '2.5', read: '0.25', output: '15' },
    long: { above: 272_000, input: '5', read: '0.5', output: '22.5' },
  },
  { models: 'gpt-5.4-mini gpt-5.4-mini-2026-*', from: '2026-03-17', input: '0.75', read: '0.075', output: '4.5' },
  { models: 'gpt-5.4-nano gpt-5.4-nano-2026-*', from: '2026-03-17', input: '0.2', read: '0.02', output: '1.25' },
  {
    ...{ models: 'gpt-5.5 gpt-5.5-2026-*', from: '2026-04-23', input: '5', read: '0.5', output: '30' },
    long: { above: 272_000, input: '10', read: '1', output: '45' },
  },
  {
    ...{ models: 'gpt-5.6 gpt-5.6-sol', from: '2026-07-09', input: '5', read: '0.5', write: '6.25', output: '30' },
    long: { above: 272_000, input: '10', read: '1', write: '12.5', output: '45' },
  },
  {
    ...{ models: 'gpt-5.6 gpt-5.6-sol', from: '2026-08-21', input: '4', read: '0.4', write: '5', output: '20' },
    long: { above: 272_000, input: '8', read: '0.8', write: '10', output: '30' },
  },
  {
    ...{ models: 'gpt-5.6-terra', from: '2026-07-09', input: '2.5', read: '0.25', write: '3.125', output: '15' },
    long: { above: 272_000, input: '5', read: '0.5', write: '6.25', output: '22.5' },
  },
  {
    ...{ models: 'gpt-5.6-terra', from: '2026-07-30', input: '2', read: '0.2', write: '2.5', output: '12' },
    long: { above: 272_000, input: '4', read: '0.4', write: '5', output: '18' },
  },
  {
    ...{ models: 'gpt-5.6-luna', from: '2026-07-09', input: '1', read: '0.1', write: '1.25', output: '6' },
    long: { above: 272_000, input: '2', read: '0.2', write: '2.5', output: '9' },
  },
  {
    ...{ models: 'gpt-5.6-luna', from: '2026-07-30', input: '0.2', read: '0.02', write: '0.25', output: '1.2' },
    long: { above: 272_000, input: '0.4', read: '0.04', write: '0.5', output: '1.8' },
  },
  {
    ...{ models: 'gpt-6-astra', from: '2026-09-03', input: '10', read: '1', write: '12.5', output: '50' },
    long: { above: 272_000, input: '20', read: '2', write: '25', output: '75' },
  },
  {
    ...{ models: 'gpt-6-sol', from: '2026-09-22', input: '2', read: '0.2', write: '2.5', output: '10' },
    long: { above: 272_000, input: '4', read: '0.4', write: '5', output: '15' },
  },
  {
    ...{ models: 'gpt-6-luna', from: '2026-09-22', input: '0.1', read: '0.01', write: '0.125', output: '0.5' },
    long: { above: 272_000, input: '0.2', read: '0.02', write: '0.25', output: '0.75' },
  },
  {
    ...{ models: 'gpt-6.1-sol', from: '2026-09-29', input: '2', read: '0.1', write: '2.5', output: '10' },
    long: { above: 272_000, input: '4', read: '0.2', write: '5', output: '15' },
  },
  {
    ...{ models: 'gpt-6.2-astra', from: '2026-11-17', input: '8', read: '0.4', write: '10', output: '40' },
    long: { above: 272_000, input: '16', read: '0.8', write: '20', output: '60' },
  },
  {
    ...{ models: 'gpt-6.2-sol', from: '2026-11-17', input: '2', read: '0.1', write: '2.5', output: '10' },
    long: { above: 272_000, input: '4', read: '0.2', write: '5', output: '15' },
  },
  { models: 'text-embedding-3-small', from: '2024-01-25', input: '0.02', output: '0' },
  { models: 'text-embedding-3-large', from: '2024-01-25', input: '0.13', output: '0' },
  {
    ...{ models: 'gpt-4o-audio-preview gpt-4o-audio-preview-2025-06-03', from: '2024-12-17' },
    ...{ input: '2.5', output: '10', audioIn: '40', audioOut: '80' },
  },
  {
    ...{ models: 'gpt-4o-mini-audio-preview gpt-4o-mini-audio-preview-2024-12-17', from: '2024-12-17' },
    ...{ input: '0.15', output: '0.6', audioIn: '10', audioOut: '20' },
  },
  {
    ...{ models: 'gpt-image-1', from: '2025-04-23', input: '5', read: '1.25', output: '40' },
    ...{ imageIn: '10', imageOut: '40' },
  },
  {
    ...{ models: 'gpt-image-1-mini', from: '2025-10-06', input: '2', read: '0.2', output: '8' },
    ...{ imageIn: '2.5', imageOut: '8' },
  },
  // What is said to a transcription beside the audio is text.
  { models: 'gpt-4o-mini-transcribe', from: '2025-03-20', input: '1.25', output: '5', audioIn: '3' },
  { models: 'gpt-4o-mini-tts', from: '2025-03-20', input: '0.6', output: '12', audioOut: '12' },
  { models: 'gpt-realtime-whisper', from: '2026-01-01', input: '0', output: '0', perMinute: '0.017' },
  { models: 'whisper-1', from: '2023-03-01', input: '0', output: '0', perMinute: '0.006' },
  { models: 'tts-1', from: '2023-11-06', input: '0', output: '0', perMillionCharacters: '15' },
  { models: 'tts-1-hd', from: '2023-11-06', input: '0', output: '0', perMillionCharacters: '30' },
  { models: 'omni-moderation-latest omni-moderation-2024-09-26', from: '2024-09-26', input: '0', output: '0' },
]

/** Batch and flex cost half; fast mode, which priority was called before, is listed model by model. */
const tierSource =
  'OpenAI price list, https://developers.openai.com/api/docs/pricing and https://openai.com/api-fast-mode/'
const tiers: readonly Tier[] = [
  {
    ...{ models: 'gpt-4o* gpt-4.1* gpt-5* gpt-6* o3* o4* text-embedding-3*', tier: 'batch' },
    ...{ from: '2024-04-15', percent: 50 },
  },
  { models: 'gpt-5* gpt-6* o3* o4-mini*', tier: 'flex', from: '2025-04-17', percent: 50 },
  { models: 'gpt-4.1 gpt-4.1-2025*', tier: 'priority', from: '2025-06-12', percent: 175 },
  { models: 'gpt-5-mini gpt-5-mini-2025*', tier: 'priority', from: '2025-08-07', percent: 180 },
  {
    ...{ models: 'gpt-5 gpt-5-2025* gpt-5.1 gpt-5.1-2025* gpt-5.2 gpt-5.2-2025*', tier: 'priority' },
    ...{ from: '2025-08-07', percent: 200 },
  },
  {
    ...{ models: 'gpt-5.4 gpt-5.4-2026* gpt-5.4-mini gpt-5.4-mini-2026*', tier: 'priority' },
    ...{ from: '2026-03-05', percent: 200 },
  },
  { models: 'gpt-5.5 gpt-5.5-2026*', tier: 'priority', from: '2026-04-23', percent: 250 },
  { models: 'gpt-5.6 gpt-5.6-sol gpt-5.6-terra gpt-5.6-luna', tier: 'priority', from: '2026-07-09', percent: 200 },
]

/**
 * `write` is for five minutes; what is kept for an hour costs twice the input. A web search costs a cent on top of its
 * tokens, at every model.
 */

export const openaiPrices: Page = { source, lines, tiers, tierSource }
