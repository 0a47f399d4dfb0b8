import { expect, test } from 'vitest'
import { createCommandLine } from '../testing.ts'

const { run } = createCommandLine()

test('keys are asked for only from a store in shape, and the remedy is named', async () => {
  const refused = await run(['keys', 'list'])
  expect(refused.exitCode).toBe(1)
  expect(refused.err).toContain('migrate up')
})

test('a key is shown whole when it is made and never again', async () => {
  await run(['migrate', 'up'])
  const made = await run(['keys', 'create', '--name', 'web', '--models', 'gpt-4o*, mini'])
  expect(made).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^sk-gh-\S{40,}$/) })

  const listed = await run(['keys', 'list', '--json'])
  expect(listed.out).not.toContain(made.out)
  expect(JSON.parse(listed.out)).toMatchObject([
    { name: 'web', last_four: made.out.slice(-4), allowed_models: ['gpt-4o*', 'mini'], enabled: true },
  ])
})

test('a revoked key is gone, and revoking it again says so', async () => {
  await run(['migrate', 'up'])
  const { id } = JSON.parse((await run(['keys', 'create', '--name', 'web', '--json'])).out)
  expect(await run(['keys', 'revoke', id])).toMatchObject({ exitCode: 0 })
  expect(JSON.parse((await run(['keys', 'list', '--json'])).out)).toEqual([])
  expect(await run(['keys', 'revoke', id])).toMatchObject({ exitCode: 1, err: expect.stringContaining(id) })
})

test('a key without a name is a wrong command line', async () => {
  expect(await run(['keys', 'create'])).toMatchObject({ exitCode: 64, out: '' })
  expect(await run(['keys', 'create', '--name', ' '])).toMatchObject({ exitCode: 64, out: '' })
})

test('another master key than the store was written with is refused, for keys made so would open nothing', async () => {
  await run(['migrate', 'up'])
  await run(['keys', 'create', '--name', 'web'])
  const { exitCode, err } = await run(['keys', 'create', '--name', 'other'], {
    GATEHOUSE_SECRET_KEY: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  })
  expect(exitCode).toBe(78)
  expect(err).toContain('GATEHOUSE_SECRET_KEY')
})
