import type { ChatUsage } from '../../chat.ts'

/** An operation put into another vendor's words: how it is asked, and what its answer means in OpenAI's. */
export type Translation = {
  path: string
  body: string
  /** Throws for what is no answer. */
  readAnswer(wire: Readonly<Record<string, unknown>>): { wire: object; usage: ChatUsage | null }
}
