import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { jobs } from '../../src/maintenance/index.ts'
import { readArrows, repository } from './imports.ts'

/**
 * Folders of like things: each member stands on the list in index.ts. Where members are folders, the files beside them
 * are what they have in common; elsewhere only the contract is.
 */
const shelves = [
  { folder: 'src/gateway/protocols', members: '*/index.ts', contract: '' },
  { folder: 'src/gateway/providers', members: '*.ts', contract: 'provider.ts' },
  { folder: 'src/gateway/operations', members: '*.ts', contract: 'operation.ts' },
  { folder: 'src/services/proxy/balance', members: '*.ts', contract: 'policy.ts' },
  { folder: 'src/usage/price-book', members: '*.ts', contract: 'page.ts' },
  { folder: 'src/health/checks', members: '*.ts', contract: 'check.ts' },
  { folder: 'src/health/probes', members: '*.ts', contract: 'probe.ts' },
  { folder: 'src/telemetry/collectors', members: '*.ts', contract: 'collector.ts' },
  { folder: 'src/risk/rules', members: '*.ts', contract: 'rule.ts' },
  { folder: 'src/alerts/channels', members: '*.ts', contract: 'channel.ts' },
  { folder: 'src/incidents/actions', members: '*.ts', contract: 'action.ts' },
  { folder: 'src/maintenance/jobs', members: '*.ts', contract: '' },
  { folder: 'src/doctor/findings', members: '*.ts', contract: '' },
  { folder: 'src/cli/commands', members: '*.ts', contract: '' },
  { folder: 'src/migrations', members: '*.ts', contract: '' },
]

function listMembers({ folder, members, contract }: (typeof shelves)[number]): string[] {
  return globSync(members, { cwd: join(repository, folder) })
    .filter((name) => !/\.(test|fixture)\.ts$|^testing/.test(name) && name !== 'index.ts' && name !== contract)
    .map((name) => `${folder}/${name}`)
    .sort()
}

describe.each(shelves)('$folder', (shelf) => {
  const { folder } = shelf
  const index = `${folder}/index.ts`

  test('has a list, and something on it', () => {
    expect(existsSync(join(repository, index))).toBe(true)
    expect(listMembers(shelf)).not.toEqual([])
  })

  test('lists every member', () => {
    const listed = readArrows(index).map((arrow) => arrow.to)
    expect(listMembers(shelf).filter((member) => !listed.includes(member))).toEqual([])
  })
})

test('every risk rule has its row in the guides, and its section in the runbook: meaning, look, do, false alarms', () => {
  const read = (path: string) => readFileSync(join(repository, path), 'utf8')
  const [guide, chinese, runbook] = ['guide/risk.md', 'guide/zh-CN/risk.md', 'runbook/risk.md'].map((path) =>
    read(`docs/${path}`),
  )
  const rules = listMembers(shelves.find(({ folder }) => folder === 'src/risk/rules')!).map((path) =>
    basename(path, '.ts').replaceAll('-', '_'),
  )
  for (const rule of rules) {
    expect(guide).toContain(`| \`${rule}\` |`)
    expect(chinese).toContain(`| \`${rule}\` |`)
    const section = runbook!.split('\n## ').find((each) => each.startsWith(`${rule}\n`)) ?? ''
    for (const part of ['**Means.**', '**Look.**', '**Do.**', '**False alarms.**']) {
      expect(`${rule}: ${section}`).toContain(part)
    }
  }
})

test('every job of maintenance has its row in the guides', () => {
  for (const folder of ['docs/guide', 'docs/guide/zh-CN']) {
    const guide = readFileSync(join(repository, folder, 'maintenance.md'), 'utf8')
    const rows = [...guide.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name)
    expect(rows).toEqual(jobs.map(({ name }) => name))
  }
})

test('migrations are numbered without gap or repetition, and listed in that order', () => {
  const files = listMembers(shelves.find((shelf) => shelf.folder === 'src/migrations')!).map((path) =>
    basename(path, '.ts'),
  )
  expect(files.map((name) => Number(name.slice(0, 4)))).toEqual(files.map((_, i) => i + 1))
  const text = readFileSync(join(repository, 'src/migrations/index.ts'), 'utf8')
  const list = /=\s*\[([^\]]*)\]/.exec(text)?.[1] ?? ''
  const byLocalName = new Map(
    readArrows('src/migrations/index.ts').map(({ clause, to }) => [clause.replace(/[{}\s]/g, ''), basename(to, '.ts')]),
  )
  const listed = list
    .split(',')
    .map((name) => byLocalName.get(name.trim()))
    .filter((name) => name !== undefined)
  expect(listed).toEqual(files)
})
