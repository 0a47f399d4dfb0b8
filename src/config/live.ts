import { isDeepStrictEqual } from 'node:util'
import type { Setting } from './settings.ts'

/** What made something of its settings when it was built, and makes it anew. May throw: then nothing is changed. */
export type Applier = { applySettings(): void }

/** What a change of settings does: `applied` are in use, `waiting` are there after the next start. */
export type Taken = { applied: string[]; waiting: string[] }

/**
 * The settings of a running hub. Rooms hold their section for good and read it when they need it, so a reloadable setting
 * is taken over by putting the new value where the old one was; what was derived from settings is made again by those
 * who offer `applySettings`. There is no other copy of a setting that a reload would have to find.
 */
export function createLive<C extends object>(config: C, settings: readonly Setting[], appliers: readonly Applier[]) {
  function apply(changed: readonly Setting[], from: C): void {
    const before = changed.map((setting) => [setting, valueAt(config, setting.path)] as const)
    for (const setting of changed) putValue(config, setting.path, valueAt(from, setting.path))
    try {
      for (const applier of appliers) applier.applySettings()
    } catch (error) {
      for (const [setting, value] of before) putValue(config, setting.path, value)
      for (const applier of appliers) applier.applySettings()
      throw error
    }
  }

  return {
    /** Takes over what of `next` can be; throws, and leaves all as it was, when a part cannot live with it. */
    take(next: C): Taken {
      const changed = settings.filter(({ path }) => !isDeepStrictEqual(valueAt(config, path), valueAt(next, path)))
      const reloadable = changed.filter(({ isReloadable }) => isReloadable)
      if (reloadable.length > 0) apply(reloadable, next)
      return {
        applied: reloadable.map(({ name }) => name),
        waiting: changed.filter(({ isReloadable }) => !isReloadable).map(({ name }) => name),
      }
    },
    /** The values of now, apart from the live ones. */
    copy: (): C => JSON.parse(JSON.stringify(config)) as C,
  }
}

export function valueAt(config: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], config)
}

function putValue(config: object, path: readonly string[], value: unknown): void {
  const section = path
    .slice(0, -1)
    .reduce<Record<string, unknown>>(
      (table, key) => table[key] as Record<string, unknown>,
      config as Record<string, unknown>,
    )
  section[path.at(-1)!] = value
}
