/** The shelf of what models do beside holding conversations. */
import { embeddings } from './embeddings.ts'
import { imageEdits, imageGenerations, imageVariations } from './images.ts'
import { moderations } from './moderations.ts'
import type { Operation } from './operation.ts'
import { speech } from './speech.ts'
import { transcriptions, translations } from './transcriptions.ts'

export const operations: readonly Operation[] = [
  embeddings,
  imageGenerations,
  imageEdits,
  imageVariations,
  speech,
  transcriptions,
  translations,
  moderations,
]

export type { Operation } from './operation.ts'
