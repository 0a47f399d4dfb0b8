import { noOtherRates, type PriceRow } from './rows.ts'
import { nanoFromUsd } from './usd.ts'

/**
 * Public list prices of well-known models: US dollars per million tokens at the vendor's standard tier, without partner
 * clouds and regional surcharges; other tiers of service are percentages of it. A date is the day the vendor's price
 * took effect, or for older models the day the model came out. A later change is a new line with its own date; a line
 * that was released is never edited.
 *
 * Every name applies to any provider type, so that a model bought through a compatible endpoint is valued at its list
 * price until the operator enters what is really paid.
 */
type Line = {
  models: string
  from: string
  input: string
  read?: string
  write?: string
  output: string
  /** Where text, audio and images are priced apart. */
  audioIn?: string
  audioOut?: string
  imageIn?: string
  imageOut?: string
  /** Dollars for one image, one minute, a million characters. */
  perImage?: string
  perMinute?: string
  perMillionCharacters?: string
  /** A dearer step that applies to the whole call when its input is longer than `above` tokens. */
  long?: { above: number; input: string; read?: string; write?: string; output: string }
}

/** A tier of service as a percentage of the standard tier's tokens. */
type Tier = { models: string; tier: 'batch' | 'flex' | 'priority'; from: string; percent: number }

const openaiSource = 'OpenAI price list, https://developers.openai.com/api/docs/pricing'
const openai: readonly Line[] = [
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
const openaiTierSource =
  'OpenAI price list, https://developers.openai.com/api/docs/pricing and https://openai.com/api-fast-mode/'
const openaiTiers: readonly Tier[] = [
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
const anthropicSource = 'Anthropic price list, https://platform.claude.com/docs/en/about-claude/pricing'
const anthropic: readonly Line[] = [
  {
    models: 'claude-opus-4-0 claude-opus-4-20250514',
    from: '2025-05-22',
    input: '15',
    read: '1.5',
    write: '18.75',
    output: '75',
  },
  {
    models: 'claude-opus-4-1 claude-opus-4-1-2025*',
    from: '2025-08-05',
    input: '15',
    read: '1.5',
    write: '18.75',
    output: '75',
  },
  {
    models: 'claude-opus-4-5 claude-opus-4-5-2025*',
    from: '2025-11-24',
    input: '5',
    read: '0.5',
    write: '6.25',
    output: '25',
  },
  {
    models: 'claude-opus-4-6 claude-opus-4-6-2026*',
    from: '2026-02-05',
    input: '5',
    read: '0.5',
    write: '6.25',
    output: '25',
  },
  {
    models: 'claude-opus-4-7 claude-opus-4-7-2026*',
    from: '2026-04-16',
    input: '5',
    read: '0.5',
    write: '6.25',
    output: '25',
  },
  {
    models: 'claude-opus-4-8 claude-opus-4-8-2026*',
    from: '2026-06-01',
    input: '5',
    read: '0.5',
    write: '6.25',
    output: '25',
  },
  {
    models: 'claude-opus-5 claude-opus-5-2026*',
    from: '2026-07-24',
    input: '5',
    read: '0.5',
    write: '6.25',
    output: '25',
  },
  {
    models: 'claude-opus-5-5 claude-opus-5-5-2026*',
    from: '2026-09-22',
    input: '4',
    read: '0.2',
    write: '5',
    output: '20',
  },
  {
    models: 'claude-fable-5 claude-fable-5-2026*',
    from: '2026-06-01',
    input: '10',
    read: '1',
    write: '12.5',
    output: '50',
  },
  {
    models: 'claude-fable-5-1 claude-fable-5-1-2026*',
    from: '2026-09-01',
    input: '10',
    read: '0.25',
    write: '12.5',
    output: '50',
  },
  {
    ...{
      models: 'claude-sonnet-4-0 claude-sonnet-4-20250514',
      from: '2025-05-22',
      input: '3',
      read: '0.3',
      write: '3.75',
      output: '15',
    },
    long: { above: 200_000, input: '6', read: '0.6', write: '7.5', output: '22.5' },
  },
  {
    ...{
      models: 'claude-sonnet-4-5 claude-sonnet-4-5-2025*',
      from: '2025-09-29',
      input: '3',
      read: '0.3',
      write: '3.75',
      output: '15',
    },
    long: { above: 200_000, input: '6', read: '0.6', write: '7.5', output: '22.5' },
  },
  {
    models: 'claude-sonnet-4-6 claude-sonnet-4-6-2026*',
    from: '2026-02-17',
    input: '3',
    read: '0.3',
    write: '3.75',
    output: '15',
  },
  {
    models: 'claude-sonnet-5 claude-sonnet-5-2026*',
    from: '2026-06-30',
    input: '2',
    read: '0.2',
    write: '2.5',
    output: '10',
  },
  {
    models: 'claude-sonnet-5-5 claude-sonnet-5-5-2026*',
    from: '2026-09-28',
    input: '2',
    read: '0.2',
    write: '2.5',
    output: '10',
  },
  {
    models: 'claude-sonnet-5-5 claude-sonnet-5-5-2026*',
    from: '2026-10-07',
    input: '2',
    read: '0.1',
    write: '2.5',
    output: '10',
  },
  {
    models: 'claude-haiku-4-5 claude-haiku-4-5-2025*',
    from: '2025-10-15',
    input: '1',
    read: '0.1',
    write: '1.25',
    output: '5',
  },
  {
    ...{
      models: 'claude-haiku-5-5 claude-haiku-5-5-2026*',
      from: '2026-10-07',
      input: '0.1',
      read: '0.01',
      write: '0.125',
      output: '0.5',
    },
    long: { above: 100_000, input: '0.5', read: '0.05', write: '0.625', output: '2.5' },
  },
]

const anthropicTiers: readonly Tier[] = [{ models: 'claude-*', tier: 'batch', from: '2024-10-08', percent: 50 }]

const googleSource = 'Gemini API price list, https://ai.google.dev/gemini-api/docs/pricing'
const google: readonly Line[] = [
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
const deepseekSource = 'DeepSeek price list (peak hours), https://api-docs.deepseek.com/quick_start/pricing'
const deepseek: readonly Line[] = [
  { models: 'deepseek-chat deepseek-reasoner', from: '2025-09-29', input: '0.28', read: '0.028', output: '0.42' },
  { models: 'deepseek-chat deepseek-reasoner', from: '2026-04-26', input: '0.14', read: '0.0028', output: '0.28' },
  { models: 'deepseek-v4-flash', from: '2026-04-26', input: '0.14', read: '0.0028', output: '0.28' },
  { models: 'deepseek-v4-flash', from: '2026-08-17', input: '0.44', read: '0.014', output: '1.32' },
  { models: 'deepseek-flash deepseek-v4-flash', from: '2026-09-10', input: '0.3', read: '0.006', output: '1.2' },
  { models: 'deepseek-v4-pro', from: '2026-04-26', input: '0.435', read: '0.003625', output: '0.87' },
  { models: 'deepseek-v4-pro', from: '2026-08-17', input: '1.32', read: '0.044', output: '3.96' },
]

const googleTiers: readonly Tier[] = [{ models: 'gemini-*', tier: 'batch', from: '2025-07-07', percent: 50 }]

/** International (Singapore) prices. Reading the cache costs 40 % of the input. */
const qwenSource =
  'Alibaba Cloud Model Studio, https://www.alibabacloud.com/help/en/model-studio/billing-for-model-studio'
const qwen: readonly Line[] = [
  { models: 'qwen-max', from: '2025-01-25', input: '1.6', read: '0.64', output: '6.4' },
  { models: 'qwen-plus', from: '2025-01-25', input: '0.4', read: '0.16', output: '1.2' },
  { models: 'qwen-turbo', from: '2025-01-25', input: '0.05', read: '0.02', output: '0.2' },
]
const qwenTiers: readonly Tier[] = [
  { models: 'qwen-max qwen-plus qwen-turbo', tier: 'batch', from: '2025-01-25', percent: 50 },
]

const moonshotSource = 'Moonshot AI price list, https://platform.kimi.ai/docs/pricing/chat-k3'
const moonshot: readonly Line[] = [{ models: 'kimi-k3', from: '2026-07-16', input: '3', read: '0.3', output: '15' }]
const moonshotTiers: readonly Tier[] = [{ models: 'kimi-*', tier: 'batch', from: '2026-07-16', percent: 50 }]

/** The book as rows for the table `prices`. Ids depend on the line alone, so entering it again changes nothing. */
export function priceBook(createdAt: number): PriceRow[] {
  const of = (lines: readonly Line[], source: string) => lines.flatMap((line) => rowsOf(line, source, createdAt))
  const tiersOf = (tiers: readonly Tier[], source: string) =>
    tiers.flatMap((tier) => tierRowsOf(tier, source, createdAt))
  return [
    ...of(openai, openaiSource),
    ...tiersOf(openaiTiers, openaiTierSource),
    ...of(anthropic, anthropicSource).map(withAnthropicExtras),
    ...tiersOf(anthropicTiers, anthropicSource),
    ...of(google, googleSource),
    ...tiersOf(googleTiers, googleSource),
    ...of(deepseek, deepseekSource),
    ...of(qwen, qwenSource),
    ...tiersOf(qwenTiers, qwenSource),
    ...of(moonshot, moonshotSource),
    ...tiersOf(moonshotTiers, moonshotSource),
  ]
}

function rowsOf(line: Line, source: string, createdAt: number): PriceRow[] {
  const steps = [{ above: 0, ...line }, ...(line.long ? [line.long] : [])]
  return line.models.split(' ').flatMap((model) =>
    steps.map((step) => ({
      ...noOtherRates,
      id: `book:${model}@${line.from}${step.above > 0 ? `>${step.above}` : ''}`,
      provider_type: '',
      model,
      above_tokens_in: step.above,
      input: nanoFromUsd(step.input),
      output: nanoFromUsd(step.output),
      cached_read: nanoOrNull(step.read),
      cached_write: nanoOrNull(step.write),
      audio_in: nanoOrNull(line.audioIn),
      audio_out: nanoOrNull(line.audioOut),
      image_in: nanoOrNull(line.imageIn),
      image_out: nanoOrNull(line.imageOut),
      per_image: nanoOrNull(line.perImage),
      per_audio_minute: nanoOrNull(line.perMinute),
      per_million_characters: nanoOrNull(line.perMillionCharacters),
      effective_from: startOf(line.from),
      origin: 'book' as const,
      source,
      created_at: createdAt,
    })),
  )
}

function tierRowsOf({ models, tier, from, percent }: Tier, source: string, createdAt: number): PriceRow[] {
  return models.split(' ').map((model) => ({
    ...noOtherRates,
    ...{ id: `book:${model}@${from}/${tier}`, provider_type: '', model, above_tokens_in: 0 },
    ...{ input: 0, output: 0, cached_read: null, cached_write: null, service_tier: tier, percent },
    ...{ effective_from: startOf(from), origin: 'book' as const, source, created_at: createdAt },
  }))
}

function withAnthropicExtras(row: PriceRow): PriceRow {
  return { ...row, cached_write_hour: row.input * 2, per_search: nanoFromUsd('0.01') }
}

function nanoOrNull(usd: string | undefined): number | null {
  return usd === undefined ? null : nanoFromUsd(usd)
}

function startOf(day: string): number {
  return Date.parse(`${day}T00:00:00Z`)
}
