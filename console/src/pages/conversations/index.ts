import { ChatDotRound } from '@element-plus/icons-vue'
import { defineAsyncComponent } from 'vue'
import { defineList, defineTexts } from '../../page.ts'

export const conversations = defineList({
  ...{ name: 'conversations', path: '/conversations', group: 'watch', role: 'user', icon: ChatDotRound },
  resource: {
    list: 'api/sessions',
    writer: 'user',
    filters: [{ name: 'user_id' }, { name: 'session_id' }],
    columns: [
      { key: 'session_id', show: 'mono' },
      { key: 'model' },
      { key: 'user_id', show: 'mono' },
      { key: 'calls', show: 'count' },
      { key: 'failures', show: 'count' },
      { key: 'cost_nano_usd', show: 'money' },
      { key: 'last_at', show: 'moment' },
    ],
    remove: { path: '/api/sessions/{id}' },
    detail: defineAsyncComponent(() => import('./conversation-card.vue')),
  },
  texts: defineTexts(
    {
      title: 'Conversations',
      about: 'Calls of one session together. What was said is kept only where somebody chose so.',
      empty: 'No call carried a session id.',
      messages: 'What was said',
      notKept: 'What was said here is not kept.',
      roles: { user: 'Asked', assistant: 'Answered', tool: 'Tool' },
    },
    {
      title: '会话',
      about: '同一会话的调用归在一起；内容仅在选择保存时保留。',
      empty: '还没有带会话编号的调用。',
      messages: '内容',
      notKept: '此会话的内容没有保存。',
      roles: { user: '提问', assistant: '回答', tool: '工具' },
    },
  ),
})
