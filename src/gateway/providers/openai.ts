import { openaiChat } from '../protocols/openai-chat/index.ts'
import { openaiCompletions } from '../protocols/openai-completions/index.ts'
import type { Provider } from './provider.ts'

// https://platform.openai.com/docs/deprecations: all others answer 404 there, and are asked as a conversation.
const completing =
  /^(gpt-3\.5-turbo-instruct|babbage-002|davinci-002|ft:(gpt-3\.5-turbo-instruct|babbage-002|davinci-002))/

export const openai: Provider = {
  type: 'openai',
  title: 'OpenAI',
  protocols: [openaiChat, { ...openaiCompletions, takesModel: (model) => completing.test(model) }],
  defaultBaseUrl: 'https://api.openai.com/v1',
  needsKey: true,
  takesImageUrls: true,
  headers: (apiKey) => ['authorization', `Bearer ${apiKey}`],
  redundantSuffix: null,
}
