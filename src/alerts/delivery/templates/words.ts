import type { NotifyReason } from '../../alert.ts'
import type { Message } from '../../channels/channel.ts'
import type { CutWords } from '../../writing/shorten.ts'

/** The built-in texts of one language. */
export type Words = Omit<CutWords, 'rest'> & {
  /** Templates of the title and of what stands below it. */
  title: string
  body: string
  status: Readonly<Record<'firing' | 'resolved', string>>
  severity: Readonly<Record<Message['severity'], string>>
  reason: Readonly<Record<NotifyReason, string>>
  /** Said in front of the built-in text where a template of a person's own failed. */
  templateFailed(why: string): string
  /** Labels of the message that tests a channel. */
  test: { title: string; text: string }
  days: string
}
