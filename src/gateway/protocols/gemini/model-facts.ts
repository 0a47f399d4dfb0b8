/** What a Gemini model accepts, read from its name. https://ai.google.dev/gemini-api/docs/thinking */
export type ModelFacts = {
  /** `budget`: a number of tokens (2.5). `level`: low, medium, high (3 and later). `none`: no thinking to steer. */
  thinking: 'budget' | 'level' | 'none'
  /** The smallest thinking budget; 0 turns thinking off. */
  leastBudget: number
  mostBudget: number
  /** Answers 400 to a history whose calls lack their signatures. */
  needsSignatures: boolean
  /** Takes tools and a JSON response format in one request. */
  toolsWithJson: boolean
  /** Takes images inside of a function response. */
  mediaInResponses: boolean
}

export function factsOf(model: string): ModelFacts {
  const found = /gemini-(\d+)(?:\.(\d+))?/.exec(model.toLowerCase())
  const isAlias = /gemini-(?:flash|pro|flash-lite)-latest/.test(model)
  if (found === null && !isAlias) return { ...early, thinking: 'none' }
  const generation = found === null ? 300 : Number(found[1]) * 100 + Number(found[2] ?? 0) * 10
  if (generation >= 300) {
    return { ...early, thinking: 'level', needsSignatures: true, toolsWithJson: true, mediaInResponses: true }
  }
  if (generation < 250) return { ...early, thinking: 'none' }
  const isPro = model.includes('-pro')
  return { ...early, thinking: 'budget', leastBudget: isPro ? 128 : 0, mostBudget: isPro ? 32_768 : 24_576 }
}

const early: ModelFacts = {
  thinking: 'none',
  leastBudget: 0,
  mostBudget: 24_576,
  needsSignatures: false,
  toolsWithJson: false,
  mediaInResponses: false,
}
