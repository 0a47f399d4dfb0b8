import { createFindings, defineJob } from '../job.ts'

const hourMs = 3_600_000

/** Seed 003's daily look at backups: there is a young one, it was read back, and none of the others calls itself broken. */
export const backupIntegrity = defineJob({
  name: 'backup_integrity',
  rhythm: 'daily',
  summary: { en: 'A young backup that was read back, and no broken one', zh: '备份完整性检查' },
  cron: '30 6 * * *',
  windowMinutes: 60,
  async run(world) {
    const found = createFindings()
    const { isEnabled, fullEveryHours } = world.backups
    const all = await world.backups.list()
    const usable = all.filter(({ fault, kind }) => fault === '' && (kind === 'full' || kind === 'increment'))
    const broken = all.filter(({ fault }) => fault !== '')
    const newest = usable[0]
    found.figure('backups', usable.length)
    found.figure('broken', broken.length)
    found.figure('newest_age_hours', newest === undefined ? null : (world.clock.now() - newest.takenAt) / hourMs)
    found.figure('unverified', usable.filter(({ verifiedAt }) => verifiedAt === null).length)
    for (const { id, fault } of broken) found.note(`${id}: ${fault}`)
    if (newest !== undefined)
      found.note(
        `newest: ${newest.id} (${newest.kind}), taken ${new Date(newest.takenAt).toISOString()}, ${newest.bytes} bytes`,
      )
    if (!isEnabled)
      found.add('warn', 'backups.enabled is false: nobody takes backups.', 'backups.enabled 为 false：没有自动备份。')
    else if (newest === undefined) found.add('fail', 'There is no usable backup.', '没有可用的备份。')
    else if (world.clock.now() - newest.takenAt > 2 * fullEveryHours * hourMs)
      found.add(
        'fail',
        `The newest backup is older than ${2 * fullEveryHours} h.`,
        `最新备份已超过 ${2 * fullEveryHours} 小时。`,
      )
    else if (newest.verifiedAt === null)
      found.add('fail', `The newest backup ${newest.id} was never read back.`, `最新备份 ${newest.id} 从未回读校验。`)
    if (broken.length > 0)
      found.add('warn', `${broken.length} backups cannot be used.`, `有 ${broken.length} 份备份不可用。`)
    return found.told({
      en: `${usable.length} backups; the newest was read back.`,
      zh: `共 ${usable.length} 份备份，最新一份已回读校验。`,
    })
  },
})
