import { openaiChat } from '../protocols/openai-chat/index.ts'
import { openaiCompletions } from '../protocols/openai-completions/index.ts'
import type { Provider } from './provider.ts'

/** Anything that speaks OpenAI's chat API at an address of its own: DeepSeek, Qwen, Moonshot, Ollama, vLLM and others. */
export const openaiCompatible: Provider = {
  type: 'openai-compatible',
  title: 'OpenAI-compatible',
  protocols: [openaiChat, openaiCompletions],
  defaultBaseUrl: null,
  // Servers in one's own rack often ask for none.
  needsKey: false,
  takesImageUrls: true,
  headers: (apiKey) => (apiKey === '' ? [] : ['authorization', `Bearer ${apiKey}`]),
  redundantSuffix: null,
}
