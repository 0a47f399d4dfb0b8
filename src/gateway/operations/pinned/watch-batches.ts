import { type HubError, toHubError } from '../../../kernel/errors.ts'
import { beginTrace, traceparentOf } from '../../../kernel/trace.ts'
import type { Log } from '../../../platform/log.ts'
import { lookAtBatch, type PinnedSource } from './look-at-batch.ts'
import type { Pin } from './store.ts'

export type BatchWatch = {
  /** Looks once at the next unfinished batches, one after another; returns how many could be seen. */
  look(signal: AbortSignal): Promise<number>
}

/** Batches looked at in one turn; with more, the next turn goes on where this one ended. */
const mostOfATurn = 200
const errandMs = 60_000
/** Providers end a batch within its window of a day, and forget it later: nobody is asked for ever. */
const longestLifeMs = 8 * 86_400_000

/**
 * Sees batches end that nobody asks about, so that what they consumed is in the ledger all the same. The row's id follows
 * from the batch: a caller who asks at the same moment, or another node, makes no second one.
 */
export function createBatchWatch(
  own: PinnedSource & {
    log: Log
    /** '' for a key that is gone. */
    keyName(keyId: string): Promise<string>
  },
): BatchWatch {
  let after: Pick<Pin, 'created_at' | 'id'> | null = null

  async function lookAtOne(pin: Pin, signal: AbortSignal): Promise<boolean> {
    const leaving: (() => void)[] = []
    const traceparent = traceparentOf(beginTrace())
    const leave = () => {
      for (const end of leaving) end()
    }
    signal.addEventListener('abort', leave)
    try {
      await lookAtBatch(pin, own, {
        keyName: await own.keyName(pin.key_id),
        errand: (method, path) => ({
          method,
          path,
          timeoutMs: errandMs,
          traceparent,
          whenLeft: (end) => void leaving.push(end),
        }),
      })
      return true
    } catch (thrown) {
      if (!signal.aborted) tell(pin, toHubError(thrown))
      return false
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  function tell({ id, provider_id: provider }: Pin, error: HubError): void {
    // Its provider is switched off: an operator's own doing.
    if (error.code === 'no_provider') return
    own.log.warn(`The batch ${id} could not be looked at; it is tried again`, { provider, error })
  }

  return {
    async look(signal) {
      // Nothing is learned that could not be written down.
      if (!own.ledger.isWritable()) return 0
      const since = own.clock.now() - longestLifeMs
      const pins = await own.pins.listUnsettled(since, after, mostOfATurn)
      const last = pins.at(-1)
      after = pins.length < mostOfATurn || last === undefined ? null : { created_at: last.created_at, id: last.id }
      let looked = 0
      for (const pin of pins) {
        if (signal.aborted) break
        if (await lookAtOne(pin, signal)) looked++
      }
      return looked
    },
  }
}
