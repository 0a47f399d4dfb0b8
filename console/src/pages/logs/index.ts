import { Tickets } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const logs = defineList({
  ...{ name: 'logs', path: '/logs', group: 'operate', role: 'super_admin', icon: Tickets },
  resource: {
    list: 'api/system/logs',
    id: 'time',
    links: [{ title: 'live', to: '/log-tail' }],
    refreshMs: 15_000,
    filters: [
      { name: 'level', options: ['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'] },
      { name: 'module' },
      { name: 'trace' },
      { name: 'q' },
    ],
    columns: [
      { key: 'time', show: 'moment' },
      { key: 'level', show: 'state' },
      { key: 'module' },
      { key: 'msg' },
      { key: 'trace_id', show: 'mono' },
    ],
  },
  texts: defineTexts(
    {
      title: 'Logs',
      about: 'Lines of the log files, newest first; a trace id finds every line of one request.',
      empty: 'No line matches.',
      live: 'Follow live',
      fields: { time: 'Time', msg: 'Message', module: 'Module', level: 'Level', trace: 'Trace id', file: 'File' },
    },
    {
      title: '日志',
      about: '日志文件的内容，最新在前；用追踪编号可找到一次请求的全部日志。',
      empty: '没有符合条件的日志。',
      live: '实时跟踪',
      fields: { time: '时间', msg: '信息', module: '模块', level: '级别', trace: '追踪编号', file: '文件' },
    },
  ),
})
