import type { PriceRow } from '../rows.ts'
import { anthropicPrices } from './anthropic.ts'
import { deepseekPrices } from './deepseek.ts'
import { googlePrices } from './google.ts'
import { moonshotPrices } from './moonshot.ts'
import { openaiPrices } from './openai.ts'
import { type Page, rowsOfPage } from './page.ts'
import { qwenPrices } from './qwen.ts'

const pages: readonly Page[] = [openaiPrices, anthropicPrices, googlePrices, deepseekPrices, qwenPrices, moonshotPrices]

/** The built-in book, a page for each vendor, as rows for the table `prices`. */
export function priceBook(createdAt: number): PriceRow[] {
  return pages.flatMap((page) => rowsOfPage(page, createdAt))
}
