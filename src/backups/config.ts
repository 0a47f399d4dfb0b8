import { z } from 'zod'
import { isRecoveryPublicKey } from './archive/keys.ts'

/** `[backups]`: what is copied, how often, for how long, and who can open it. */
export const backupsConfig = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe('Whether backups are taken, verified and drilled by themselves.')
      .meta({ zh: '是否自动备份、校验与演练。' }),
    folder: z
      .string()
      .max(1000)
      .default('')
      .describe('Folder for backups, best on another disk; empty means backups in the data folder.')
      .meta({ zh: '备份目录，最好位于另一块磁盘；留空为数据目录下的 backups。' }),
    full_every_hours: z
      .int()
      .min(1)
      .max(24 * 31)
      .default(24)
      .describe('A full backup, which needs no other, is taken so often.')
      .meta({ reload: true, zh: '全量备份间隔（小时）。' }),
    increment_every_minutes: z
      .int()
      .min(0)
      .max(24 * 60)
      .default(60)
      .describe('What has changed since the last backup is taken so often; 0 for full backups only.')
      .meta({ reload: true, zh: '增量备份间隔（分钟）；0 表示只做全量。' }),
    recovery_key: z
      .string()
      .default('')
      .refine((text) => text === '' || isRecoveryPublicKey(text), {
        error: 'This is no public recovery key; make one with: gatehouse backup recovery-key',
        params: { zh: '不是恢复公钥；请用 gatehouse backup recovery-key 生成' },
      })
      .describe(
        'Public half of a recovery key: its secret half opens backups when the master key is lost with the machine.',
      )
      .meta({ zh: '恢复公钥：主密钥随机器丢失时，用对应私钥打开备份。' }),
    keep_hours: z
      .int()
      .min(1)
      .max(24 * 366)
      .default(48)
      .describe('Every backup of the last so many hours is kept.')
      .meta({ reload: true, zh: '保留最近若干小时内的所有备份。' }),
    keep_days: z
      .int()
      .min(0)
      .max(366)
      .default(7)
      .describe('Of each of so many days the newest full backup is kept.')
      .meta({ reload: true, zh: '按天保留最新全量备份的天数。' }),
    keep_weeks: z
      .int()
      .min(0)
      .max(520)
      .default(4)
      .describe('Of each of so many weeks the newest full backup is kept.')
      .meta({ reload: true, zh: '按周保留最新全量备份的周数。' }),
    keep_months: z
      .int()
      .min(0)
      .max(240)
      .default(12)
      .describe('Of each of so many months the newest full backup is kept.')
      .meta({ reload: true, zh: '按月保留最新全量备份的月数。' }),
    before_migrations: z
      .int()
      .min(0)
      .max(100)
      .default(3)
      .describe('Before a migration changes a store a backup is taken, and so many of them are kept; 0 takes none.')
      .meta({ zh: '数据库迁移前自动备份，并保留的份数；0 表示不备份。' }),
    verify_every_days: z
      .int()
      .min(1)
      .max(366)
      .default(7)
      .describe('All kept backups are read back and checked so often.')
      .meta({ reload: true, zh: '重新读取并校验全部备份的间隔（天）。' }),
    drill_every_days: z
      .int()
      .min(0)
      .max(366)
      .default(30)
      .describe('Backups are restored beside the store, compared and asked so often; 0 for never.')
      .meta({ reload: true, zh: '恢复演练间隔（天）；0 表示不演练。' }),
  })
  .describe('Backups of the store, and proofs that they can be restored.')
  .meta({ zh: '备份与恢复演练。' })

export type BackupsConfig = z.infer<typeof backupsConfig>
