import { LRUCache } from 'lru-cache'

/** Who was seen in which hours of one day of UTC: a number for each person or key, and a bit for each hour. */
export type DaySeen = {
  ids: Uint32Array
  /** Bit 0 is the day's first hour. */
  hours: Uint32Array
  /** How many different ones each hour has. */
  amounts: Uint32Array
}

export type SeenRow = { value: string; hours: number }

const mostBytes = 64 * 1024 * 1024
/** Above this the numbers given to ids are forgotten, and every day with them. */
const mostIds = 1_000_000

/**
 * Keeps what was read of days. A day is read again when its version has moved, which the transaction that changes its sums
 * sees to, so that what is kept is never behind the store, whoever wrote.
 */
export function createKeptDays() {
  const kept = new LRUCache<string, { version: number; numbers: ReadonlyMap<string, number>; seen: DaySeen }>({
    maxSize: mostBytes,
    sizeCalculation: ({ seen }) => 200 + 8 * seen.ids.length,
  })
  let numbers = new Map<string, number>()

  /** Numbers and days of one question, which others that are asked meanwhile do not change. */
  return () => {
    if (numbers.size > mostIds) {
      numbers = new Map()
      kept.clear()
    }
    const mine = numbers

    /** The number of an id, the same as long as days are kept. */
    const numberOf = (id: string): number => {
      let number = mine.get(id)
      if (number === undefined) {
        number = mine.size
        mine.set(id, number)
      }
      return number
    }

    return {
      numberOf,

      /** No number is as high. */
      size: () => mine.size,

      get(key: string, version: number): DaySeen | null {
        const found = kept.get(key)
        return found?.version === version && found.numbers === mine ? found.seen : null
      },

      set(key: string, version: number, rows: readonly SeenRow[]): DaySeen {
        const seen = {
          ids: new Uint32Array(rows.length),
          hours: new Uint32Array(rows.length),
          amounts: new Uint32Array(24),
        }
        for (const [index, { value, hours }] of rows.entries()) {
          seen.ids[index] = numberOf(value)
          seen.hours[index] = hours
          for (let hour = 0; hour < 24; hour++) if (hours & (1 << hour)) seen.amounts[hour]!++
        }
        kept.set(key, { version, numbers: mine, seen })
        return seen
      },
    }
  }
}
