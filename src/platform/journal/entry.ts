export type JournalEntry = { seq: number; body: string; memo?: unknown }
export type JournalReject = JournalEntry & { reason: string; at: number }
