import type { Page } from '../page.ts'
import { overview } from './overview/index.ts'

/** Every page, in the order of the menu. */
export const pages: readonly Page[] = [overview]
