import { FolderChecked } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const backups = defineList({
  ...{ name: 'backups', path: '/backups', group: 'operate', role: 'super_admin', icon: FolderChecked },
  resource: {
    list: 'api/backups',
    refreshMs: 10_000,
    columns: [
      { key: 'id', show: 'mono' },
      { key: 'kind' },
      { key: 'taken_at', show: 'moment' },
      { key: 'bytes', show: 'count' },
      { key: 'verified_at', show: 'moment' },
      { key: 'drilled_at', show: 'moment' },
      { key: 'fault' },
    ],
    pageActs: [
      { title: 'now', method: 'POST', path: () => 'api/backups', body: {} },
      { title: 'drill', method: 'POST', path: () => 'api/backups/drills', confirm: 'drillAsk' },
    ],
    acts: [{ title: 'verify', method: 'POST', path: ({ id }) => `api/backups/${id}/verify` }],
  },
  texts: defineTexts(
    {
      title: 'Backups',
      about: 'The whole store in encrypted files. One counts only when it has been read back.',
      empty: 'No backup yet.',
      verify: 'Verify',
      now: 'Back up now',
      drill: 'Run a drill',
      drillAsk:
        'The newest and an older backup are restored in an isolated place and compared. Nothing of the store is touched.',
      fields: { taken_at: 'Taken', bytes: 'Bytes', verified_at: 'Verified', drilled_at: 'Drilled', fault: 'Fault' },
    },
    {
      title: '备份',
      about: '整个存储的加密文件；只有读回校验过的备份才算数。',
      empty: '还没有备份。',
      verify: '校验',
      now: '立即备份',
      drill: '恢复演练',
      drillAsk: '将最新与一个较早的备份恢复到隔离位置并比对，不影响现有数据。',
      fields: { taken_at: '时间', bytes: '字节', verified_at: '校验', drilled_at: '演练', fault: '问题' },
    },
  ),
})
