import { z } from 'zod'
import { openaiChat } from '../../protocols/openai-chat/index.ts'
import { openaiResponses } from '../../protocols/openai-responses/index.ts'
import type { RelayedProtocol } from '../../protocols/protocol.ts'
import type { Wiring } from '../provider.ts'

/** Which of OpenAI's two protocols a model is asked in, where its callers speak another. */
export const apiOption = z
  .enum(['auto', 'chat', 'responses'])
  .default('auto')
  .describe(
    'What callers of other protocols are translated to: chat completions, Responses, or (auto) Responses for the models that answer nowhere else.',
  )
  .meta({ zh: '其他协议的调用转换为哪种接口：chat、responses，或 auto（只对仅支持 Responses 的模型使用 Responses）。' })

type Api = z.infer<typeof apiOption>

// https://platform.openai.com/docs/models: "v1/responses" is the only endpoint of these; chat answers them with 404.
const respondingOnly =
  /^(?:.*\/)?(?:o[1-9](?:-mini)?-(?:pro|deep-research)|gpt-[5-9][\d.]*-(?:pro|codex)|codex-mini|computer-use)/

/** @returns the protocols of a provider of OpenAI's, `more` behind its two, and which of the two a model is asked in */
export function openaiProtocols(
  api: Api,
  ...more: RelayedProtocol[]
): Required<Pick<Wiring, 'protocols' | 'translatesTo'>> {
  const isAskedThere = (model: string) => api === 'responses' || (api === 'auto' && respondingOnly.test(model))
  return {
    protocols: [openaiChat, openaiResponses, ...more],
    translatesTo: (model) => (isAskedThere(model) ? openaiResponses : openaiChat),
  }
}
