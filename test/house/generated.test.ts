import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readToml } from '../../src/config/toml.ts'
import { configSchema, settings } from '../../src/config.ts'
import { repository } from './imports.ts'
import { pages } from './pages/index.ts'

describe('generated pages say what the source says (npm run docs)', () => {
  // One of them starts a hub.
  test.each(pages)('$path', { timeout: 60_000 }, async ({ path, render }) => {
    const written = existsSync(join(repository, path)) ? readFileSync(join(repository, path), 'utf8') : ''
    expect(written).toBe(await render())
  })
})

test('the example file without its comment signs is valid and is what the defaults are', () => {
  const text = readFileSync(join(repository, 'gatehouse.example.toml'), 'utf8').replace(/^#(?=\w)/gm, '')
  const document = readToml(text)
  if (document.kind === 'broken') throw new Error(`line ${document.line}: ${document.reason}`)
  const empty = Object.fromEntries(Object.keys(configSchema.shape).map((section) => [section, {}]))
  expect(configSchema.parse(document.values)).toEqual(configSchema.parse(empty))
})

test('every setting says in one sentence, in English and Chinese, what it does', () => {
  const poor = settings.filter(
    ({ description: { en, zh } }) => !/^[A-Z].*\.$/.test(en) || !/[\u4e00-\u9fff].*。$/.test(zh),
  )
  expect(poor.map((setting) => setting.name)).toEqual([])
})

test('every setting has a default that is valid by itself', () => {
  const poor = settings.filter(({ schema, default: value }) => value === undefined || !schema.safeParse(value).success)
  expect(poor.map((setting) => setting.name)).toEqual([])
})
