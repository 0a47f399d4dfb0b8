import { describe, expect, test } from 'vitest'
import { migrate, migrateDown } from '../platform/database/index.ts'
import { engines } from '../platform/database/testing.ts'
import { silentLog } from '../platform/database/testing-log.ts'
import { migrations } from './index.ts'

describe.each(engines())('the migrations on $name', ({ open }) => {
  test('each can be taken back, and applied again', async () => {
    const database = await open(migrations)
    const names = migrations.map(({ name }) => name)
    const options = { log: silentLog, steps: migrations.length }
    expect(await migrateDown(database, migrations, options)).toEqual(names.toReversed())
    expect(await migrate(database, migrations, options)).toEqual(names)
  })
})
