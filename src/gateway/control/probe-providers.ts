import type { Clock } from '../../kernel/clock.ts'
import { toHubError } from '../../kernel/errors.ts'
import type { LiveProvider } from '../models.ts'

/** How each provider did when it was last asked anything, by real calls first and by free questions second. */
export type HealthBook = {
  saw(provider: string, isWell: boolean): void
  isFailing(provider: string): boolean
  /** Nothing good was heard of it for ten minutes, or nothing but failure last. */
  isDoubtful(provider: string): boolean
  /** Whether it has a list of models that may be asked for, as the last probe found. */
  listed(provider: string, hasList: boolean): void
  /** It was probed and has no list; false before anybody knows. */
  isListless(provider: string): boolean
  /** Forgets providers that are gone. */
  follow(providers: readonly LiveProvider[]): void
}

const idleMs = 10 * 60_000

export function createHealthBook(clock: Pick<Clock, 'monotonic'>): HealthBook {
  const seen = new Map<string, { isWell: boolean; at: number }>()
  const listless = new Set<string>()
  return {
    saw(provider, isWell) {
      const known = seen.get(provider)
      // Changed in place: this runs for every attempt.
      if (known === undefined) seen.set(provider, { isWell, at: clock.monotonic() })
      else {
        known.isWell = isWell
        known.at = clock.monotonic()
      }
    },
    isFailing: (provider) => seen.get(provider)?.isWell === false,
    isDoubtful(provider) {
      const known = seen.get(provider)
      return known === undefined || !known.isWell || clock.monotonic() - known.at >= idleMs
    },
    listed(provider, hasList) {
      if (hasList) listless.delete(provider)
      else listless.add(provider)
    },
    isListless: (provider) => listless.has(provider),
    follow(providers) {
      const names = new Set(providers.map(({ name }) => name))
      for (const name of seen.keys()) if (!names.has(name)) seen.delete(name)
      for (const name of listless) if (!names.has(name)) listless.delete(name)
    },
  }
}

/**
 * Asks every doubtful provider for its list of models, which costs nothing, one after another and off the path of calls.
 * A provider that has no such list stays as doubtful as it was.
 */
export async function probeProviders({
  providers,
  health,
  askOne,
  signal,
}: {
  providers: readonly LiveProvider[]
  health: HealthBook
  askOne(provider: LiveProvider): Promise<unknown>
  signal: AbortSignal
}): Promise<void> {
  for (const provider of providers) {
    if (signal.aborted) return
    if (!health.isDoubtful(provider.name)) continue
    // What went wrong is remembered.
    await askAndRemember(provider, health, askOne).catch(() => {})
  }
}

/** Asks one provider for its list, and rejects with what went wrong, which the book knows by then. */
export async function askAndRemember(
  provider: LiveProvider,
  health: HealthBook,
  askOne: (provider: LiveProvider) => Promise<unknown>,
): Promise<void> {
  try {
    await askOne(provider)
    health.saw(provider.name, true)
    health.listed(provider.name, true)
  } catch (error) {
    const { code, status } = toHubError(error)
    const hasNone = code === 'invalid_request' || isUnlisted(status)
    if (hasNone) health.listed(provider.name, false)
    else if (code.startsWith('upstream_')) health.saw(provider.name, false)
    throw error
  }
}

/** Vendors that serve models without listing them answer 404 or 405. */
function isUnlisted(status: number): boolean {
  return status === 404 || status === 405
}
