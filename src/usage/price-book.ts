import { noOtherRates, type PriceRow } from './rows.ts'
import { nanoFromUsd } from './usd.ts'

/**
 * Public list prices of well-known models: US dollars per million tokens at the vendor's standard tier, without batch,
 * flex, priority or partner clouds. A date is the day the vendor's price took effect, or for older models the day the
 * model came out. A later change is a new line with its own date; a line that was released is never edited.
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
  /** A dearer step that applies to the whole call when its input is longer than `above` tokens. */
  long?: { above: number; input: string; read?: string; write?: string; output: string }
}

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
]

/** Writes are those kept for five minutes; the protocol of the row does not tell them from those kept for an hour. */
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

const googleSource = 'Gemini API price list, https://ai.google.dev/gemini-api/docs/pricing'
const google: readonly Line[] = [
  {
    ...{ models: 'gemini-2.5-pro', from: '2025-06-17', input: '1.25', read: '0.125', output: '10' },
    long: { above: 200_000, input: '2.5', read: '0.25', output: '15' },
  },
  { models: 'gemini-2.5-flash', from: '2025-06-17', input: '0.3', read: '0.03', output: '2.5' },
  { models: 'gemini-2.5-flash-lite', from: '2025-07-22', input: '0.1', read: '0.01', output: '0.4' },
  {
    ...{ models: 'gemini-3-pro-preview', from: '2025-11-18', input: '2', read: '0.2', output: '12' },
    long: { above: 200_000, input: '4', read: '0.4', output: '18' },
  },
  { models: 'gemini-3-flash-preview', from: '2025-12-17', input: '0.5', read: '0.05', output: '3' },
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

/** The book as rows for the table `prices`. Ids depend on the line alone, so entering it again changes nothing. */
export function priceBook(createdAt: number): PriceRow[] {
  return [
    ...openai.flatMap((line) => rowsOf(line, openaiSource, createdAt)),
    ...anthropic.flatMap((line) => rowsOf(line, anthropicSource, createdAt)),
    ...google.flatMap((line) => rowsOf(line, googleSource, createdAt)),
    ...deepseek.flatMap((line) => rowsOf(line, deepseekSource, createdAt)),
  ]
}

function rowsOf(line: Line, source: string, createdAt: number): PriceRow[] {
  const steps = [{ above: 0, ...line }, ...(line.long ? [line.long] : [])]
  return line.models.split(' ').flatMap((model) =>
    steps.map((step) => ({
      id: `book:${model}@${line.from}${step.above > 0 ? `>${step.above}` : ''}`,
      provider_type: '',
      model,
      above_tokens_in: step.above,
      input: nanoFromUsd(step.input),
      output: nanoFromUsd(step.output),
      cached_read: step.read === undefined ? null : nanoFromUsd(step.read),
      cached_write: step.write === undefined ? null : nanoFromUsd(step.write),
      effective_from: Date.parse(`${line.from}T00:00:00Z`),
      ...noOtherRates,
      origin: 'book' as const,
      source,
      created_at: createdAt,
    })),
  )
}
