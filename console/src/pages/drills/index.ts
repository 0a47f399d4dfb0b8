import { Finished } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const drills = defineList({
  ...{ name: 'drills', path: '/drills', group: 'operate', role: 'super_admin', icon: Finished },
  resource: {
    list: 'api/backups/runs',
    refreshMs: 10_000,
    columns: [
      { key: 'started_at', show: 'moment' },
      { key: 'kind' },
      { key: 'outcome', show: 'state' },
      { key: 'backup_id', show: 'mono' },
      { key: 'rows', show: 'count' },
      { key: 'message' },
      { key: 'finished_at', show: 'moment' },
    ],
  },
  texts: defineTexts(
    {
      title: 'Backup runs and drills',
      about: 'Every backup, verification and drill: passed, failed, or inconclusive.',
      empty: 'Nothing has run yet.',
      fields: { started_at: 'Begun', finished_at: 'Ended', rows: 'Rows', backup_id: 'Backup' },
    },
    {
      title: '备份与演练记录',
      about: '每次备份、校验与演练：通过、失败或无法判定。',
      empty: '还没有记录。',
      fields: { started_at: '开始', finished_at: '结束', rows: '行数', backup_id: '备份' },
    },
  ),
})
