import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import type { Provider } from './provider.ts'

export const anthropic: Provider = {
  type: 'anthropic',
  title: 'Anthropic',
  protocols: [anthropicMessages],
  defaultBaseUrl: 'https://api.anthropic.com',
  needsKey: true,
  takesImageUrls: true,
  headers: (apiKey) => ['x-api-key', apiKey, 'anthropic-version', '2023-06-01'],
  // The first orchestrator's own sample row had `/v1` here and so called `/v1/v1/messages`.
  redundantSuffix: '/v1',
}
