import { createFindings, defineJob } from '../job.ts'

/** Seed 003's weekly clearing of the database: what retention should have deleted is gone, and its room is given back. */
export const databaseCleanup = defineJob({
  name: 'database_cleanup',
  rhythm: 'weekly',
  summary: { en: 'Proves that old rows went, gives their room back, renews statistics', zh: '数据库清理' },
  cron: '15 3 * * 0',
  windowMinutes: 180,
  async run(world, running) {
    const found = createFindings()
    const before = await world.upkeep.room()
    for (const each of world.retained) {
      const rows = await world.countOverdue(each)
      found.figure(`overdue_${each.table}`, rows)
      if (rows === 0) continue
      found.note(`${each.table}: ${rows >= 1000 ? '1000 or more' : rows} rows are older than ${each.what} says`)
      found.add('warn', `Old rows of ${each.table} are still there.`, `${each.table} 中仍有过期记录。`)
    }
    const done = await world.upkeep.clean(async (at, total, what) => {
      await running.assertHeld()
      running.progress(at, total, what)
    })
    for (const { step, freedBytes } of done) found.note(freedBytes > 0 ? `${step}: ${freedBytes} bytes` : step)
    const after = await world.upkeep.room()
    found.figure('store_bytes_before', before.bytes)
    found.figure('store_bytes', after.bytes)
    found.figure('store_free_bytes', after.freeBytes)
    found.figure(
      'freed_bytes',
      done.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
    )
    found.figure('steps', done.length)
    if (after.freeBytes > after.bytes / 2 && after.freeBytes > 1024 ** 3)
      found.add(
        'warn',
        `${after.freeBytes} of ${after.bytes} bytes of the store hold nothing; giving them back stops all writing for a while, so that is left to you.`,
        `存储中 ${after.freeBytes} / ${after.bytes} 字节为空闲；回收会短暂阻塞写入，请自行安排。`,
      )
    return found.told({ en: `${done.length} steps; no old row is left.`, zh: `完成 ${done.length} 步，无过期记录。` })
  },
})
