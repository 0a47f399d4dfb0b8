import { anthropic } from './anthropic.ts'
import { gemini } from './gemini.ts'
import { openai } from './openai.ts'
import type { Vendor } from './vendor.ts'

export type VendorName = 'openai' | 'anthropic' | 'gemini'

export const vendors: Record<VendorName, Vendor> = { openai, anthropic, gemini }
