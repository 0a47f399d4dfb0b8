/**
 * What a Claude model accepts, read from its name: the API answers 400 to a parameter of the wrong generation.
 * https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking and …/effort, …/structured-outputs
 */
export type ModelFacts = {
  /** `budget`: thinking takes a number of tokens. `adaptive`: the model decides, `effort` steers. */
  thinking: 'none' | 'budget' | 'adaptive'
  /** `always` models answer 400 to `disabled`; `default` models think unless told not to. */
  thinks: 'on-request' | 'default' | 'always'
  /** Efforts that `output_config.effort` takes, weakest first. */
  efforts: readonly string[]
  sampling: 'free' | 'temperature-or-top-p' | 'none'
  /** `output_config.format` and `strict` tools. */
  structuredOutputs: boolean
}

type Version = { major: number; minor: number }

/** A name without a Claude version (another vendor behind the same wire, an alias) gets the oldest and widest behaviour. */
export function factsOf(model: string): ModelFacts {
  const name = model.toLowerCase()
  const version = versionOf(name)
  if (version === null) return name.includes('mythos') ? atLeast47('always') : oldest
  const generation = version.major * 100 + version.minor
  if (/fable|mythos/.test(name) || generation > 500) return atLeast47('always')
  if (generation === 500) return atLeast47('default')
  if (generation >= 407) return atLeast47('on-request')
  const sampling = generation >= 401 ? 'temperature-or-top-p' : 'free'
  if (generation === 406) {
    const efforts = ['low', 'medium', 'high', 'max']
    return { thinking: 'adaptive', thinks: 'on-request', efforts, sampling, structuredOutputs: true }
  }
  const efforts = generation === 405 && name.includes('opus') ? ['low', 'medium', 'high'] : []
  const thinking = generation >= 307 ? 'budget' : 'none'
  return { thinking, thinks: 'on-request', efforts, sampling, structuredOutputs: generation >= 405 }
}

/**
 * Whether messages of the role `system` may stand in the middle of a conversation: from Claude 4.8 on. A name that tells no
 * version is given what the caller sent.
 */
export function takesSystemInPlace(model: string): boolean {
  const version = versionOf(model.toLowerCase())
  return version === null || version.major * 100 + version.minor >= 408
}

const oldest: ModelFacts = {
  thinking: 'budget',
  thinks: 'on-request',
  efforts: [],
  sampling: 'free',
  structuredOutputs: false,
}

function atLeast47(thinks: ModelFacts['thinks']): ModelFacts {
  const efforts = ['low', 'medium', 'high', 'xhigh', 'max']
  return { thinking: 'adaptive', thinks, efforts, sampling: 'none', structuredOutputs: true }
}

/** `claude-opus-4-5-20251101`, `claude-3-7-sonnet-20250219`, `anthropic.claude-opus-4-6-v1`: numbers of eight digits are dates. */
function versionOf(name: string): Version | null {
  if (!name.includes('claude')) return null
  const rest = name.slice(name.indexOf('claude'))
  const found = /(?<![\dv])(\d{1,2})(?:[-.](\d{1,2})(?!\d))?(?!\d)/.exec(rest)
  if (found === null) return null
  return { major: Number(found[1]), minor: Number(found[2] ?? 0) }
}
