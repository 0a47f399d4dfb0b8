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
    s3_bucket: z
      .string()
      .max(63)
      .default('')
      .describe('Bucket that backups go to in place of the folder; empty for the folder.')
      .meta({ zh: '备份写入的 S3 存储桶（代替目录）；留空则写入目录。' }),
    s3_endpoint: z
      .string()
      .max(300)
      .default('')
      .refine((text) => text === '' || (/^https?:\/\//.test(text) && URL.canParse(text)), {
        error: 'This is no address such as https://s3.eu-central-1.amazonaws.com',
        params: { zh: '地址格式应类似 https://s3.eu-central-1.amazonaws.com' },
      })
      .describe('Address of what speaks S3; empty for AWS in the region.')
      .meta({ zh: 'S3 兼容服务地址；留空为该区域的 AWS。' }),
    s3_region: z
      .string()
      .min(1)
      .max(50)
      .default('us-east-1')
      .describe('Region of the bucket; others than AWS mostly take any.')
      .meta({ zh: '存储桶所在区域；AWS 以外的服务通常可任意填写。' }),
    s3_prefix: z
      .string()
      .max(200)
      .refine((text) => /^([A-Za-z0-9._-]+\/)*$/.test(text), {
        error: 'A prefix is empty or ends in a slash, such as hub-1/',
        params: { zh: '前缀须为空或以斜杠结尾，如 hub-1/' },
      })
      .default('gatehouse/')
      .describe('Before the names of objects; each hub needs its own.')
      .meta({ zh: '对象名前缀；每个实例须不同。' }),
    s3_access_key_id: z.string().max(200).default('').describe('Name of the key for the bucket.').meta({
      zh: '访问密钥 ID。',
    }),
    s3_secret_access_key: z
      .string()
      .max(200)
      .default('')
      .describe('The key for the bucket; best in GATEHOUSE_BACKUPS_S3_SECRET_ACCESS_KEY.')
      .meta({ zh: '访问密钥；建议放入环境变量。', secret: true }),
    s3_path_style: z
      .boolean()
      .default(true)
      .describe('The bucket stands in the path of addresses; false: in the name of the host.')
      .meta({ zh: '在路径中而非主机名中写存储桶。' }),
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
    before_deletions: z
      .int()
      .min(1)
      .max(100)
      .default(3)
      .describe('Before reset and demo remove delete anything a backup is taken, and so many of them are kept.')
      .meta({ reload: true, zh: 'reset 与 demo remove 删除数据前自动备份，并保留的份数。' }),
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
