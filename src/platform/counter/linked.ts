import type { Link } from '../processes/link.ts'
import type { Admission, Balance, Counter, Spending } from './counter.ts'

/** Counts in the supervisor, for all processes of this node: one count, whichever of them is asked. */
export function createLinkedCounter({ link }: { link: Link }): Counter {
  return {
    // Most callers have no limit, and nobody has to be asked about that.
    admit: (holder, demands, leaseMs) =>
      demands.length === 0
        ? { result: 'admitted', at: 0, standings: [] }
        : link.ask<Admission>('admit', [holder, demands, leaseMs]),
    settle: (holder, charges) => link.ask<(Spending | null)[]>('settle', [holder, charges]),
    renew: async (holds, leaseMs) => {
      await link.ask('renew', [holds, leaseMs])
    },
    raise: (budget, spent) => link.ask<Spending>('raise', [budget, spent]),
    read: (keys) => link.ask<Balance[]>('read', [keys]),
    close: async () => {},
  }
}
