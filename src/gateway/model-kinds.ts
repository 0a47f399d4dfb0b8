import type { Candidate, ServedModel } from './models.ts'

/** What a model is for, read from the names its providers know it by: none of them says it in a form all share. */
export type ModelKinds = { converses: boolean; embeds: boolean }

const embedding = /embed|(?:^|[/_-])(?:bge|e5|gte|m3e|voyage)-/i

/** A model embeds when somebody behind it does, and converses when somebody does that. */
export function kindsOf({ candidates }: ServedModel): ModelKinds {
  return {
    converses: candidates.some(({ providerModel }) => !embedding.test(providerModel)),
    embeds: candidates.some((candidate) => embedding.test(candidate.providerModel) && hasEmbeddings(candidate)),
  }
}

/** Gemini and OpenAI's chat have a way to ask for vectors beside them; Anthropic has none. */
function hasEmbeddings({ provider, providerModel: model }: Candidate): boolean {
  const { wiring } = provider
  const protocol = wiring.protocols[0]
  if (protocol.name === 'gemini') return true
  return (
    protocol.name === 'openai-chat' && wiring.address({ protocol, path: '/embeddings', model, stream: false }) !== null
  )
}
