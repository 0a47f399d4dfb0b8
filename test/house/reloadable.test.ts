import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { beforeAll, expect, test } from 'vitest'
import { settings } from '../../src/config.ts'
import { repository } from './imports.ts'
import { readSettingUses, readSource, type SettingRead } from './setting-reads.ts'

const reloadable = settings.filter(({ isReloadable }) => isReloadable)
let uses: SettingRead[] = []
beforeAll(() => {
  uses = readSettingUses(new Set(['...', ...reloadable.map(({ path }) => path.at(-1)!)]))
}, 60_000)

/** Where a section is read, where that is not the room of its name. */
const homes: Readonly<Record<string, RegExp>> = {
  server: /^src\/(http|hub|app)/,
  reload: /^src\/config\//,
  access: /^src\/http\/access\//,
  log: /^src\/platform\/(log|open)/,
  auth: /^src\/identity\//,
  audit: /^src\/identity\//,
  limits: /^src\/usage\//,
  services: /^src\/services\/(?!proxy)/,
  service_proxy: /^src\/services\/proxy\//,
}

/** What is made of settings once, and made anew by somebody when they change: each with the test that sees it. */
const madeAnew: readonly { settings: RegExp; maker: string; shownBy: readonly [file: string, name: string] }[] = [
  {
    ...{ settings: /^access\.\w+\.(allow|deny)$/, maker: 'createJudge' },
    shownBy: ['src/http/access/guard.test.ts', 'other lists and limits hold from the next request on, in every area'],
  },
  {
    ...{ settings: /^log\.levels?$/, maker: 'createLog' },
    shownBy: [
      'test/journeys/reload.test.ts',
      'SIGHUP in the middle of fifty streams takes over settings of many rooms',
    ],
  },
  {
    ...{ settings: /^alerts\.(route|inhibit_rules|time_intervals)$/, maker: 'compileRouting' },
    shownBy: ['src/alerts/pipeline/timelines.test.ts', 'reload: what was told stays told'],
  },
]

function readsOf(path: readonly string[]): SettingRead[] {
  const home = homes[path[0]!] ?? new RegExp(`^src/${path[0]}/`)
  return uses.filter(
    (use) =>
      use.name === path.at(-1) &&
      // A rule's own member of that name is none of the section's.
      !use.owner.includes('.rules[') &&
      (home.test(use.file) ||
        (/^src\/(rooms|call-rooms|hub|app|wiring)/.test(use.file) && use.owner.includes(path[0]!))),
  )
}

test('whatever is marked as reloadable is read when it is needed, or made anew where a test sees it', () => {
  const used = new Set<string>()
  const faults = reloadable.flatMap(({ name, path }) => {
    const reads = readsOf(path)
    const copies = reads.filter(({ isCopy, maker }) => {
      const known = isCopy && madeAnew.find((each) => each.settings.test(name) && each.maker === maker)
      if (known) used.add(known.maker)
      return isCopy && !known
    })
    const nobody = reads.some(({ isCopy }) => !isCopy) ? [] : [`${name} is read by nobody when it is needed`]
    return [...nobody, ...copies.map(({ file, line, maker }) => `${name} is copied in ${maker}, ${file}:${line}`)]
  })
  expect(faults).toEqual([])
  expect(madeAnew.map(({ maker }) => maker).filter((maker) => !used.has(maker))).toEqual([])
})

test('what is made anew has a test that is there', () => {
  for (const { shownBy } of madeAnew) {
    const [file, name] = shownBy
    expect(readFileSync(join(repository, file), 'utf8')).toContain(name)
  }
})

test('no section is copied whole when a room is made', () => {
  const copies = uses.filter(({ name, isCopy, file }) => name === '...' && isCopy && !/^src\/platform\//.test(file))
  expect(copies.map(({ file, line, owner }) => `${owner}, ${file}:${line}`)).toEqual([])
})

test('a setting that is copied when a room is made is told from one that is read when it is needed', () => {
  const source = `
    export function createRoom(config) {
      const held = config.max_rows
      const { keep_days: days, keep_weeks } = config
      const mapped = [1].map(() => config.folded)
      const later = () => config.later_on
      return {
        turn() { return config.keep_months + held },
        start() { every(config.started_with) },
      }
      function openNew() { return config.asked_for }
    }`
  const parsed = ts.createSourceFile('room.ts', source, ts.ScriptTarget.Latest, true)
  const names = [
    'max_rows',
    'keep_days',
    'keep_weeks',
    'folded',
    'later_on',
    'keep_months',
    'started_with',
    'asked_for',
  ]
  const found = Object.groupBy(readSource(parsed, new Set(names)), ({ isCopy }) => (isCopy ? 'copied' : 'live'))
  expect(found.copied!.map(({ name }) => name)).toEqual([
    'max_rows',
    'keep_days',
    'keep_weeks',
    'folded',
    'started_with',
  ])
  expect(found.live!.map(({ name }) => name)).toEqual(['later_on', 'keep_months', 'asked_for'])
})
