import { nanoFromUsd } from '../usd.ts'
import type { Line, Page, Tier } from './page.ts'

const source = 'Anthropic price list, https://platform.claude.com/docs/en/about-claude/pricing'
const lines: readonly Line[] = [
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

const tiers: readonly Tier[] = [{ models: 'claude-*', tier: 'batch', from: '2024-10-08', percent: 50 }]

export const anthropicPrices: Page = {
  source,
  lines,
  tiers,
  // What stays in the cache for an hour costs twice the input; a search is a cent.
  extras: (row) => ({ ...row, cached_write_hour: row.input * 2, per_search: nanoFromUsd('0.01') }),
}
