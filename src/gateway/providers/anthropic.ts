import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { defineProvider, noEdit, noOptions, openApiKey, ownModels } from './provider.ts'

export const anthropic = defineProvider({
  type: 'anthropic',
  title: 'Anthropic',
  protocols: [anthropicMessages],
  needsKey: true,
  keyHint: 'sk-ant-…',
  takesImageUrls: true,
  // The first orchestrator's own sample row had `/v1` here and so called `/v1/v1/messages`.
  redundantSuffixes: ['/v1'],
  options: noOptions,
  wire: () => ({
    protocols: [anthropicMessages],
    baseUrl: 'https://api.anthropic.com',
    address: ({ path, betas = [] }) => ({
      path,
      edit: noEdit,
      headers: betas.length === 0 ? [] : ['anthropic-beta', betas.join(',')],
    }),
    openCredential: (secret) => openApiKey(secret, (key) => ['x-api-key', key, 'anthropic-version', '2023-06-01']),
    readRefusal: (protocol, status, headers, body) => protocol.readError(status, headers, body),
    models: ownModels(anthropicMessages),
    quirks: null,
  }),
})
