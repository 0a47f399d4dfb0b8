import type { z } from 'zod'
import type { Scope } from '../../kernel/scope.ts'
import type { Suspect } from '../schema.ts'

/** What other rooms do for this one. Doing any of it twice is as doing it once; each rejects when it could not be done. */
export type ActionLevers = {
  /** By id or name; null when there is none. */
  provider(idOrName: string): Promise<{ id: string; name: string; enabled: boolean } | null>
  setProviderEnabled(id: string, enabled: boolean): Promise<void>
  /** Within the scope; null when there is none. */
  key(
    scope: Scope,
    id: string,
  ): Promise<{ id: string; name: string; enabled: boolean; rateLimit: number | null } | null>
  changeKey(scope: Scope, id: string, change: { enabled?: boolean; rateLimit?: number | null }): Promise<void>
  /** Collectors of this node, by name. */
  collectors(): readonly string[]
  /** With what settings this node runs and ran, the newest first. */
  settings(): Promise<readonly SettingsRevision[]>
  /** Writes the file as it was with these, and takes it over. */
  rollSettingsBackTo(id: string): Promise<void>
  /** Closes its connections and reads anew; resolves when that succeeded. */
  restartCollector(name: string): Promise<void>
}

export type SettingsRevision = {
  /** `rev_…` */
  id: string
  at: number
  by: string
  /** `rollback` where it was written to take others back. */
  origin: string
  /** The hub took it back by itself. */
  isTakenBack: boolean
  /** Of settings that it changed. */
  names: readonly string[]
}

export type Words = { en: string; zh: string }

/** What would be done, before anything is. */
export type Plan = {
  /** What it is done to, for people. */
  target: string
  will: Words
  /** How it can be taken back; null where it cannot. */
  undo: Words | null
  /** How it is now, as far as this changes it: what an undo goes back to. */
  before: Readonly<Record<string, unknown>>
}

/** A remedy of a runbook that the hub can do itself. */
export type Action = {
  name: string
  title: Words
  /** Who may: what concerns everybody is for super administrators. */
  access: 'super_admin' | 'tenant_admin'
  /** Pages of docs/runbook that recommend it. */
  runbooks: readonly string[]
  parameters: z.ZodType<Readonly<Record<string, unknown>>>
  /** Parameters that fit what an incident says is broken, or what was changed before it; null where nothing does. */
  suggest(
    cause: Readonly<Record<string, string>>,
    suspects: readonly Suspect[],
  ): Readonly<Record<string, unknown>> | null
  /** Looks and changes nothing. Rejects with what is wrong and how to mend it. */
  plan(at: At): Promise<Plan>
  /** Does it. Called again after a crash; then it is done already, or is done now. */
  run(at: At): Promise<void>
  /** Takes it back, unless somebody changed it meanwhile: then that stays. Says in a word what came of it. */
  undo(at: At, before: Readonly<Record<string, unknown>>): Promise<'restored' | 'changed_meanwhile'>
}

export type At = { levers: ActionLevers; scope: Scope; parameters: Readonly<Record<string, unknown>> }

/** Typed parameters inside, one type outside. */
export function defineAction<P extends z.ZodType<Readonly<Record<string, unknown>>>>(
  own: Omit<Action, 'parameters' | 'suggest' | 'plan' | 'run' | 'undo'> & {
    parameters: P
    suggest(cause: Readonly<Record<string, string>>, suspects: readonly Suspect[]): Partial<z.input<P>> | null
    plan(at: At & { parameters: z.output<P> }): Promise<Plan>
    run(at: At & { parameters: z.output<P> }): Promise<void>
    undo(
      at: At & { parameters: z.output<P> },
      before: Readonly<Record<string, unknown>>,
    ): Promise<'restored' | 'changed_meanwhile'>
  },
): Action {
  return own as unknown as Action
}
