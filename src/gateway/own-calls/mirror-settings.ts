import { z } from 'zod'

/** Which part of a model's conversations a second model is asked too, for comparison, and what is kept of its answers. */
export const mirrorSchema = z
  .strictObject({
    model: z.string().trim().min(1).max(100).describe('Name of the second model.'),
    percent: z.number().min(0).max(100).default(100).describe('Share of the conversations that it is asked too.'),
    max_bytes: z
      .int()
      .min(1024)
      .max(8 * 1024 * 1024)
      .default(262_144)
      .describe('Largest request, and largest answer, that is compared.'),
    store: z
      .enum(['metrics', 'text'])
      .default('metrics')
      .describe('metrics keeps numbers alone; text keeps what was answered too. What was asked is never kept.'),
  })
  .nullable()
  .describe('A second model that is asked the same in the background, for comparison; null: none.')

/** As it is stored in a model's row. */
export type MirrorSettings = NonNullable<z.infer<typeof mirrorSchema>>

/** Of a row: `{}` is none. */
export function readMirror(text: string): MirrorSettings | null {
  return text === '{}' || text === 'null' ? null : (JSON.parse(text) as MirrorSettings)
}

/** For a row. */
export function writeMirror(settings: MirrorSettings | null): string {
  return settings === null ? '{}' : JSON.stringify(settings)
}
