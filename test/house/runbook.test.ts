import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findings } from '../../src/doctor/index.ts'
import { checks } from '../../src/health/checks/index.ts'
import { reasons } from '../../src/health/probes/probe.ts'
import { failures } from './failures.ts'
import { repository } from './imports.ts'

const page = (name: string) => readFileSync(join(repository, 'docs/runbook', `${name}.md`), 'utf8')

test('every reason that a check gives has its section in the runbook, in both languages, and no other has one', () => {
  const [english, chinese] = page('checks').split('\n## 中文\n') as [string, string]
  const told = [...english.matchAll(/^## (\w+)$/gm)].map(([, name]) => name)
  const known = reasons.filter((reason) => reason !== '')
  expect(told).toEqual(known)
  for (const reason of known) expect(chinese).toContain(`\`${reason}\``)
})

test.each(checks.map(({ name }) => name))('the check %s of the hub itself has its page in the runbook', (name) => {
  expect(page(name)).toMatch(new RegExp(`^# ${name}\\n`))
  expect(page(name)).toContain('## 中文')
})

test('every finding of the doctor has its section in the runbook, in both languages, and no other has one', () => {
  const [english, chinese] = page('doctor').split('\n# 中文\n') as [string, string]
  expect([...english.matchAll(/^## (\w+)$/gm)].map(([, id]) => id)).toEqual(findings.map(({ id }) => id))
  expect(new Set(findings.map(({ id }) => id)).size).toBe(findings.length)
  for (const { id } of findings) expect(chinese).toContain(`**\`${id}\`**`)
})

test('every failure of the five guides has a test that is there, and findings that there are', () => {
  const known = new Set(findings.map(({ id }) => id))
  const text = (file: string) => readFileSync(join(repository, file), 'utf8')
  for (const { seed, en, findings: ids, tests } of failures) {
    expect([seed, en, ids.filter((id) => !known.has(id))]).toEqual([seed, en, []])
    expect([seed, en, tests.length]).toEqual([seed, en, expect.toSatisfy((count: number) => count > 0)])
    for (const [file, name] of tests) expect([file, name, text(file).includes(name)]).toEqual([file, name, true])
  }
})
