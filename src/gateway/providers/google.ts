import { gemini } from '../protocols/gemini/index.ts'
import { defineProvider, noOptions, openApiKey, ownModels, sameAddress } from './provider.ts'

export const google = defineProvider({
  type: 'gemini',
  title: 'Google Gemini',
  protocols: [gemini],
  needsKey: true,
  keyHint: 'AIza…',
  takesImageUrls: false,
  redundantSuffixes: ['/v1beta'],
  options: noOptions,
  wire: () => ({
    protocols: [gemini],
    baseUrl: 'https://generativelanguage.googleapis.com',
    address: sameAddress,
    // A header, never `?key=`: queries end up in access logs and error texts.
    openCredential: (secret) => openApiKey(secret, (key) => ['x-goog-api-key', key]),
    readRefusal: (protocol, status, headers, body) => protocol.readError(status, headers, body),
    models: ownModels(gemini),
    quirks: null,
  }),
})
