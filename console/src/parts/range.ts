import { computed, type WritableComputedRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'

const hour = 3_600_000
/** How far back a page looks, and the slots its lines have (seconds). */
export const ranges = {
  '1h': { ms: hour, slotSec: 60 },
  '24h': { ms: 24 * hour, slotSec: 900 },
  '7d': { ms: 7 * 24 * hour, slotSec: 3600 },
  '30d': { ms: 30 * 24 * hour, slotSec: 14_400 },
} as const
export type Range = keyof typeof ranges

/** A value that stands in the address, so that a link shows what its sender saw. */
export function useInAddress<T extends string>(name: string, fallback: T): WritableComputedRef<T> {
  const route = useRoute()
  const router = useRouter()
  return computed({
    get: () => (typeof route.query[name] === 'string' ? (route.query[name] as T) : fallback),
    set: (value) => {
      const { [name]: _, ...others } = route.query
      void router.replace({ query: value === fallback ? others : { ...others, [name]: value } })
    },
  })
}

export function useRange(fallback: Range = '24h'): WritableComputedRef<Range> {
  const kept = useInAddress<string>('range', fallback)
  return computed({
    get: () => (kept.value in ranges ? (kept.value as Range) : fallback),
    set: (value) => {
      kept.value = value
    },
  })
}

/** Start and end as the statistics want them; the end is the last full minute, so that equal questions are equal. */
export function spanOf(range: Range): { start_ms: number; end_ms: number } {
  const end = Math.floor(Date.now() / 60_000) * 60_000 + 60_000
  return { start_ms: end - ranges[range].ms, end_ms: end }
}
