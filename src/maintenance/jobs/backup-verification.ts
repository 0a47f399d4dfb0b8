import { createFindings, defineJob } from '../job.ts'

/** Seed 003's monthly proof of backups: the newest and the oldest that are kept are read back as a whole. */
export const backupVerification = defineJob({
  name: 'backup_verification',
  rhythm: 'monthly',
  summary: { en: 'Reads the newest and the oldest backup back', zh: '备份验证' },
  cron: '0 1 2 * *',
  windowMinutes: 300,
  async run(world, running) {
    const found = createFindings()
    const usable = (await world.backups.list()).filter(({ fault }) => fault === '')
    const chosen = [
      ...new Map([usable[0], usable.at(-1)].flatMap((each) => (each ? [[each.id, each] as const] : []))).values(),
    ]
    found.figure('backups', usable.length)
    if (chosen.length === 0) found.add('fail', 'There is no backup to verify.', '没有可验证的备份。')
    let verified = 0
    for (const [index, { id }] of chosen.entries()) {
      await running.assertHeld()
      running.progress(index, chosen.length, id)
      try {
        const { rows, bytes } = await world.backups.verify(id)
        verified += 1
        found.note(`${id}: ${rows} rows, ${bytes} bytes are as they were written`)
      } catch (error) {
        const { message, code } = error as Error & { code?: string }
        found.note(`${id}: ${message}`)
        if (code === 'backup_unusable')
          found.add('fail', `${id} cannot be used: ${message}.`, `备份 ${id} 不可用：${message}。`)
        else found.add('inconclusive', `${id} could not be read: ${message}.`, `无法读取备份 ${id}：${message}。`)
      }
    }
    found.figure('verified', verified)
    return found.told({ en: `${verified} backups are as they were written.`, zh: `${verified} 份备份校验通过。` })
  },
})
