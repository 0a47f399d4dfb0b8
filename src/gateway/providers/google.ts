import { gemini } from '../protocols/gemini/index.ts'
import type { Provider } from './provider.ts'

export const google: Provider = {
  type: 'gemini',
  title: 'Google Gemini',
  protocols: [gemini],
  defaultBaseUrl: 'https://generativelanguage.googleapis.com',
  needsKey: true,
  takesImageUrls: false,
  // A header, never `?key=`: queries end up in access logs and error texts.
  headers: (apiKey) => ['x-goog-api-key', apiKey],
  redundantSuffix: '/v1beta',
}
