/** What is known of one asking of a provider. */
export type Attempt = {
  provider: string
  model: string
  status: number
  code: string
  duration_ms: number | null
  waited_ms?: number
}

export type Bar = Omit<Attempt, 'duration_ms' | 'waited_ms'> & {
  n: number
  durationMs: number | null
  /** Per cent of the whole. */
  offset: number
  parts: { name: 'waited' | 'first' | 'rest'; ms: number; width: number }[]
}

/** Attempts one after the other, as shares of the whole call; the last one's first token stands in its bar. */
export function barsOf(
  attempts: readonly Attempt[],
  { latencyMs, firstTokenMs }: { latencyMs: number; firstTokenMs: number | null },
): Bar[] {
  const spent = attempts.reduce((sum, { waited_ms = 0, duration_ms }) => sum + waited_ms + (duration_ms ?? 0), 0)
  const whole = Math.max(1, latencyMs, spent)
  let begun = 0
  return attempts.map(({ duration_ms, waited_ms = 0, ...rest }, index) => {
    const isLast = index === attempts.length - 1
    // Of a plain call nothing was written down but how long it took in all.
    const durationMs = duration_ms ?? (isLast ? Math.max(0, latencyMs - begun - waited_ms) : 0)
    const untilFirst =
      isLast && firstTokenMs !== null ? Math.min(durationMs, Math.max(0, firstTokenMs - begun - waited_ms)) : durationMs
    const parts = [
      { name: 'waited' as const, ms: waited_ms },
      { name: 'first' as const, ms: untilFirst },
      { name: 'rest' as const, ms: durationMs - untilFirst },
    ].filter(({ ms }) => ms > 0)
    const bar = {
      ...rest,
      ...{ n: index + 1, durationMs, offset: (begun / whole) * 100 },
      parts: parts.map((part) => ({ ...part, width: (part.ms / whole) * 100 })),
    }
    begun += waited_ms + durationMs
    return bar
  })
}
