import type { Principal } from '../kernel/principal.ts'

/** One thing that was said, as the gateway hands it over: what is new in a call, not what it repeats. */
export type Said = {
  role: 'user' | 'assistant' | 'tool'
  /** Of the speaker or the tool, '' where there is none. */
  name: string
  text: string
  /** `arguments` as the model wrote them. */
  toolCalls: readonly { name: string; arguments: string }[]
}

/** A call that is over, as far as its conversation is told. */
export type TalkEnd = {
  requestId: string
  /** Epoch ms. */
  startedAt: number
  /** As the caller wrote it, '' where the call carries none: then nothing of it is kept. */
  sessionId: string
  principal: Pick<Principal, 'tenantId' | 'userId' | 'keyId'>
}

/** What is listened to of one call. */
export type Tape = {
  /** Most bytes of question and answer that may be held of this call. */
  maxBytes: number
  /** Room for so many more bytes; false when there is none: then the call is `drop`ped. */
  hold(bytes: number): boolean
  /** The call is over. `read` is called later, when the hub has time; whatever was held is let go after it. */
  end(talk: TalkEnd, read: () => Said[]): void
  /** Nothing of it is kept after all. */
  drop(why: 'too_large' | 'no_session' | 'unanswered'): void
}

export const settingScopes = ['tenant', 'key'] as const
export type SettingScope = (typeof settingScopes)[number]

/** What one tenant or key has said about its conversations. */
export type ConversationSetting = {
  scope: SettingScope
  scopeId: string
  tenantId: string
  /** Whether what is said is kept. */
  isStored: boolean
  /** Names of redaction packs; null: those of the hub. */
  redact: readonly string[] | null
  /** Words that are never to be kept, such as names of projects. */
  words: readonly string[]
  /** null: the hub's. */
  retentionDays: number | null
}

/** Whose a conversation is: the person, the service account, or the key that stands for nobody. */
export function ownerOf({ userId, keyId }: Pick<Principal, 'userId' | 'keyId'>): string {
  return userId === '' ? keyId : userId
}
