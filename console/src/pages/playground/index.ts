import { ChatLineSquare } from '@element-plus/icons-vue'
import { definePage, defineTexts } from '../../page.ts'

export const playground = definePage({
  ...{ name: 'playground', path: '/playground', group: 'gateway', role: 'user', icon: ChatLineSquare },
  component: () => import('./playground.vue'),
  texts: defineTexts(
    {
      title: 'Playground',
      about: 'Ask a model as a program would, with a key of yours. The key stays in this tab.',
      key: 'API key',
      model: 'Model',
      second: 'Compare with',
      prompt: 'What to ask',
      ask: 'Ask',
      stop: 'Stop',
      hello: 'Say hello in five words.',
      tookMs: '{ms} to the first words, {all} in all',
      code: 'The same call from a program',
      noKey: 'No key at hand?',
      makeKey: 'Make one',
    },
    {
      title: '试用',
      about: '像程序一样用您的密钥向模型提问；密钥只留在此标签页。',
      key: 'API 密钥',
      model: '模型',
      second: '对比模型',
      prompt: '提问内容',
      ask: '提问',
      stop: '停止',
      hello: '用五个字打个招呼。',
      tookMs: '首字 {ms}，共 {all}',
      code: '在程序中发起同样的调用',
      noKey: '没有密钥？',
      makeKey: '创建一个',
    },
  ),
})
