import type { Credential } from '../provider.ts'

export type CredentialKeeper = {
  /** The credential kept under `id` if it was opened from the same settings, else a new one. */
  open(id: string, settings: string, open: () => Credential): Credential
}

/**
 * Keeps opened credentials, and the tokens they hold, while the routing table is read anew: else each change of anything
 * would fetch every token again. Beyond `most` the one opened first goes.
 */
export function createCredentialKeeper(most = 4096): CredentialKeeper {
  const kept = new Map<string, { settings: string; credential: Credential }>()
  return {
    open(id, settings, open) {
      const known = kept.get(id)
      if (known?.settings === settings) return known.credential
      const credential = open()
      kept.delete(id)
      kept.set(id, { settings, credential })
      if (kept.size > most) kept.delete(kept.keys().next().value!)
      return credential
    },
  }
}
