import type { Loaded } from '../config.ts'

/** Settings whose origin is not known: those of tests, of workers, and of a hub that a drill boots. */
export type SomeLoaded = Pick<Loaded, 'config'> & Partial<Loaded>

export function asLoaded(some: SomeLoaded): Loaded {
  const whole: Loaded = { ...{ origins: new Map(), warnings: [], file: null, text: '', again: () => whole }, ...some }
  return whole
}
