const unitMs = { y: 31_536_000_000, w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const

/** Milliseconds of `1h30m` as rule files write it; null when it is no duration. */
export function readDuration(text: string): number | null {
  if (text === '0') return 0
  if (text === '' || !/^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$/.test(text)) return null
  let total = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[ywdhms])/g))
    total += Number(count) * unitMs[unit as keyof typeof unitMs]
  return total
}

/** The shortest such text. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s'
  let left = ms
  let text = ''
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(left / unitMs[unit])
    if (count > 0) text += `${count}${unit}`
    left -= count * unitMs[unit]
  }
  return text
}
