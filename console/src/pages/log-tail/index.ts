import { Tickets } from '@element-plus/icons-vue'
import { definePage, defineTexts } from '../../page.ts'

export const logTail = definePage({
  ...{ name: 'logTail', path: '/log-tail', group: 'operate', role: 'super_admin', icon: Tickets },
  isHidden: true,
  component: () => import('./log-tail.vue'),
  texts: defineTexts(
    {
      title: 'Live log',
      back: 'Search the log files',
      waiting: 'Following the log; lines appear as they are written.',
      stopped: 'Stopped.',
      stop: 'Stop',
      go: 'Follow',
      level: 'At least',
      module: 'Module',
      text: 'Text',
      missed: '{count} lines were left out: more came than could be shown.',
      broken: 'The connection broke: {reason}',
      lines: '{count} lines shown, at most {most} are kept here',
    },
    {
      title: '实时日志',
      back: '搜索日志文件',
      waiting: '正在跟踪日志，新行将实时出现。',
      stopped: '已停止。',
      stop: '停止',
      go: '跟踪',
      level: '最低级别',
      module: '模块',
      text: '文本',
      missed: '省略了 {count} 行：来得太快。',
      broken: '连接中断：{reason}',
      lines: '显示 {count} 行，最多保留 {most} 行',
    },
  ),
})
