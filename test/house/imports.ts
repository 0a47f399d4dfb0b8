import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../..', import.meta.url))

/** One import, as an arrow from a file to a file of ours (`src/…`) or to a package. */
export type Arrow = {
  from: string
  line: number
  to: string
  isOurs: boolean
  isTypeOnly: boolean
  /** Asked for while the program runs: what it brings is not there before. */
  isLazy: boolean
  /** What stands between `import` and `from`. */
  clause: string
}

/** The sources of the program without its tests, as paths from the repository's root. */
export function listSources(): string[] {
  return globSync('src/**/*.ts', { cwd: repository })
    .filter((path) => !/\.(test|fixture)\.ts$|(^|\/)(testing|__fixtures__)[-./]/.test(path))
    .sort()
}

/** Every import of `file`, dynamic ones and re-exports included. */
export function readArrows(file: string): Arrow[] {
  const text = readFileSync(join(repository, file), 'utf8')
  const statement = /^(?:import|export)\s+(type\s+)?([\w$*\s{},]+?)\s+from\s+'([^']+)'/gm
  const bare = /(?:^import\s+|\bimport\()'([^']+)'/gm
  const arrowTo = (target: string, index: number, isTypeOnly: boolean, clause: string): Arrow => {
    const isOurs = target.startsWith('.')
    return {
      from: file,
      line: text.slice(0, index).split('\n').length,
      to: isOurs ? relative(repository, join(repository, dirname(file), target)) : target,
      isOurs,
      isTypeOnly,
      isLazy: text.startsWith('import(', index),
      clause,
    }
  }
  return [
    ...[...text.matchAll(statement)].map((m) => arrowTo(m[3]!, m.index, m[1] !== undefined, m[2]!)),
    ...[...text.matchAll(bare)].map((m) => arrowTo(m[1]!, m.index, false, '')),
  ]
}

/** What is in memory once `entrance` is: files of ours and packages, without what is asked for later. */
export function loadedBy(...entrances: readonly string[]): Set<string> {
  const loaded = new Set(entrances)
  for (const file of loaded) {
    if (!file.endsWith('.ts')) continue
    for (const { to, isTypeOnly, isLazy } of readArrows(file)) if (!isTypeOnly && !isLazy) loaded.add(to)
  }
  return loaded
}
