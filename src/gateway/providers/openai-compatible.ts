import { z } from 'zod'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { openaiCompletions } from '../protocols/openai-completions/index.ts'
import { openaiResponses } from '../protocols/openai-responses/index.ts'
import { presets } from './presets.ts'
import { type Address, defineProvider, noEdit, type OutboundCall, openApiKey, ownModels } from './provider.ts'
import { noQuirks, type Quirks, quirksSchema } from './quirks.ts'

const options = z.strictObject({
  preset: z
    .enum(presets.map((preset) => preset.id))
    .nullable()
    .default(null)
    .describe('A known vendor: its address and quirks, unless given here.')
    .meta({ zh: '已知厂商：采用其地址与差异设置，除非在此另行指定。' }),
  quirks: quirksSchema
    .partial()
    .default({})
    .describe("How it departs from OpenAI's API, beyond the preset.")
    .meta({ zh: '在预设之外，与 OpenAI 接口的差异。' }),
})

/** Anything that speaks OpenAI's chat API at an address of its own: DeepSeek, Qwen, Moonshot, Ollama, vLLM and others. */
export const openaiCompatible = defineProvider({
  type: 'openai-compatible',
  title: 'OpenAI-compatible',
  protocols: [openaiChat, openaiCompletions, openaiResponses],
  // Servers in one's own rack often ask for none.
  needsKey: false,
  keyHint: 'sk-…, or nothing',
  takesImageUrls: true,
  redundantSuffixes: ['/chat/completions'],
  options,
  wire(given) {
    const preset = presets.find(({ id }) => id === given.preset)
    const quirks = Object.assign({}, noQuirks, preset?.quirks, given.quirks) as Quirks
    const headers = Object.entries(quirks.headers).flat()
    return {
      protocols: quirks.responses ? [openaiChat, openaiCompletions, openaiResponses] : [openaiChat, openaiCompletions],
      baseUrl: preset?.baseUrl ?? null,
      address: (call) => addressOf(call, quirks, headers),
      openCredential: (secret) => openApiKey(secret, (key) => ['authorization', `Bearer ${key}`]),
      readRefusal: (protocol, status, refusedHeaders, body) => protocol.readError(status, refusedHeaders, body),
      models: quirks.lists_models ? ownModels(openaiChat) : null,
      quirks: isPlain(quirks) ? null : quirks,
    }
  },
})

function addressOf({ path }: OutboundCall, quirks: Quirks, headers: readonly string[]): Address | null {
  if (/^\/responses(?:[/?]|$)/.test(path) && !quirks.responses) return null
  if (path !== '/embeddings') return { path, edit: noEdit, headers }
  return quirks.embeddings_path === null ? null : { path: quirks.embeddings_path, edit: noEdit, headers }
}

/** Nothing in a body is to be looked at: the bytes pass as they are. */
function isPlain(quirks: Quirks): boolean {
  const { headers, responses, embeddings_path, lists_models, ...ofBodies } = quirks
  return Object.entries(ofBodies).every(
    ([name, value]) => JSON.stringify(value) === JSON.stringify(noQuirks[name as keyof Quirks]),
  )
}
