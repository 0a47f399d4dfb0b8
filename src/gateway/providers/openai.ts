import { z } from 'zod'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { openaiCompletions } from '../protocols/openai-completions/index.ts'
import { openaiResponses } from '../protocols/openai-responses/index.ts'
import type { RelayedProtocol } from '../protocols/protocol.ts'
import { apiOption, openaiProtocols } from './api/openai-api.ts'
import { defineProvider, openApiKey, ownModels, sameAddress } from './provider.ts'

const headerText = z.string().regex(/^[\x21-\x7e]{1,200}$/, 'must be printable ASCII without spaces')

// https://platform.openai.com/docs/deprecations: all others answer 404 there, and are asked as a conversation.
const completing =
  /^(gpt-3\.5-turbo-instruct|babbage-002|davinci-002|ft:(gpt-3\.5-turbo-instruct|babbage-002|davinci-002))/

const completions: RelayedProtocol = { ...openaiCompletions, takesModel: (model) => completing.test(model) }

export const openai = defineProvider({
  type: 'openai',
  title: 'OpenAI',
  protocols: [openaiChat, openaiResponses, completions],
  needsKey: true,
  keyHint: 'sk-…',
  takesImageUrls: true,
  redundantSuffixes: [],
  options: z.strictObject({
    organization: headerText
      .nullable()
      .default(null)
      .describe('Sent as OpenAI-Organization.')
      .meta({ zh: '以 OpenAI-Organization 头发送。' }),
    api: apiOption,
    project: headerText
      .nullable()
      .default(null)
      .describe('Sent as OpenAI-Project.')
      .meta({ zh: '以 OpenAI-Project 头发送。' }),
  }),
  wire: ({ organization, project, api }) => ({
    ...openaiProtocols(api, completions),
    baseUrl: 'https://api.openai.com/v1',
    address: sameAddress,
    openCredential: (secret) =>
      openApiKey(secret, (key) => [
        ...['authorization', `Bearer ${key}`],
        ...(organization === null ? [] : ['openai-organization', organization]),
        ...(project === null ? [] : ['openai-project', project]),
      ]),
    readRefusal: (protocol, status, headers, body) => protocol.readError(status, headers, body),
    models: ownModels(openaiChat),
    quirks: null,
  }),
})
