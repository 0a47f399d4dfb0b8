import { anthropicMessages } from '../protocols/anthropic-messages/index.ts'
import { defineProvider, noEdit, noOptions, openApiKey, ownModels } from './provider.ts'

const defaultVersion = '2023-06-01'
const listing = { method: 'GET', origin: '', path: '', body: '' } as const

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
    address: ({ path, betas = [], apiVersion = defaultVersion }) => ({
      path,
      edit: noEdit,
      // A caller that speaks another version means its rules, for what is asked and for what is answered.
      headers: [
        ...['anthropic-version', apiVersion],
        ...(betas.length === 0 ? [] : ['anthropic-beta', betas.join(',')]),
      ],
    }),
    openCredential(secret) {
      const credential = openApiKey(secret, (key) => ['x-api-key', key])
      const asking = [...(credential.authorize(listing) as string[]), 'anthropic-version', defaultVersion]
      return {
        ...credential,
        authorize: (request) => (request.method === 'GET' ? asking : credential.authorize(request)),
      }
    },
    readRefusal: (protocol, status, headers, body) => protocol.readError(status, headers, body),
    models: ownModels(anthropicMessages),
    quirks: null,
  }),
})
