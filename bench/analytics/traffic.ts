import { createDice } from '../../src/kernel/dice.ts'
import type { RequestLogRow } from '../../src/usage/rows.ts'

export const dayMs = 86_400_000

/** Picks 0 to `amount` - 1, each the less often the higher it is: a few customers and models make most of the traffic. */
function createSkew(amount: number, exponent: number): (dice: () => number) => number {
  const shares: number[] = []
  let sum = 0
  for (let rank = 1; rank <= amount; rank++) {
    sum += rank ** -exponent
    shares.push(sum)
  }
  return (dice) => {
    const wanted = dice() * sum
    let [low, high] = [0, amount - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (shares[middle]! < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

type Key = {
  id: string
  name: string
  user: string
  tenant: string
  models: string[]
  tags: string
  agent: string
  streams: number
}

/** How busy each hour of the day is, and how much less a weekend: offices in one zone, and programs that never sleep. */
const hours = [3, 2, 2, 2, 2, 3, 5, 8, 12, 15, 16, 15, 12, 14, 16, 16, 14, 12, 9, 7, 6, 5, 4, 3]

/**
 * Requests of 20 tenants, 300 people and 2,000 keys for 60 models of 12 providers, the same for the same seed. A key asks
 * for one to three models, a model has one to three providers; four in a hundred requests fail in some way.
 */
export function createTraffic(seed = 1) {
  const dice = createDice(seed)
  const pick = <T>(values: readonly T[]): T => values[Math.floor(dice() * values.length)]!
  const [whichKey, whichModel] = [createSkew(2000, 0.9), createSkew(60, 1.1)]
  const providersOf = Array.from({ length: 60 }, () =>
    Array.from({ length: 1 + Math.floor(dice() * 3) }, () => Math.floor(dice() * 12)),
  )
  const keys = Array.from({ length: 2000 }, (_, index): Key => {
    const user = Math.floor(dice() * 300)
    const models = Array.from({ length: 1 + Math.floor(dice() * 3) }, () => `model-${whichModel(dice)}`)
    const agent = dice() < 0.3 ? `a${index % 40}` : ''
    const tags = [...(agent === '' ? [] : [`agent:${agent}`]), ...(dice() < 0.4 ? [`team-${user % 25}`] : [])]
    return {
      id: `key_${String(index).padStart(26, '0')}`,
      ...{ name: `key ${index}`, user: `usr_${String(user).padStart(26, '0')}`, tenant: `ten_${user % 20}` },
      ...{ models, tags: tags.length === 0 ? '' : JSON.stringify(tags), agent, streams: pick([0, 0.2, 0.9, 1]) },
    }
  })

  function row(id: string, started_at: number): RequestLogRow {
    const key = keys[whichKey(dice)]!
    const model = pick(key.models)
    const provider = pick(providersOf[Number(model.slice(6))]!)
    const luck = dice()
    const outcome =
      luck < 0.96
        ? 'success'
        : luck < 0.975
          ? 'failure'
          : luck < 0.985
            ? 'refused'
            : luck < 0.995
              ? 'aborted'
              : 'truncated'
    const isServed = outcome !== 'refused'
    const stream = dice() < key.streams ? 1 : 0
    const cacheHit = isServed && dice() < 0.02 ? 'exact' : ''
    const [tokensIn, tokensOut] = [
      Math.floor(200 + 8000 * dice() ** 4),
      isServed ? Math.floor(20 + 1500 * dice() ** 3) : 0,
    ]
    const firstToken = isServed ? Math.floor(120 + 3000 * dice() ** 5) : null
    const status = outcome === 'success' || outcome === 'truncated' ? 200 : pick([400, 429, 499, 500, 503])
    return {
      ...{ id, started_at, tenant_id: key.tenant, user_id: key.user, key_id: key.id, key_name: key.name },
      ...{ endpoint: dice() < 0.8 ? '/v1/chat/completions' : '/v1/messages', protocol: 'openai-chat' },
      ...{ model_asked: model, model_served: isServed ? model : '' },
      ...{ provider_id: isServed ? `prv_${provider}` : '', provider_name: isServed ? `provider ${provider}` : '' },
      ...{ provider_type: isServed ? 'openai' : '', status, outcome },
      ...{ error_code: status === 200 ? '' : `code_${status}`, error_message: status === 200 ? '' : 'It did not work' },
      ...{
        stream,
        tokens_in: tokensIn,
        tokens_out: tokensOut,
        tokens_cached_read: Math.floor(tokensIn * dice() * 0.3),
      },
      ...{ tokens_cached_write: 0, tokens_reasoning: 0, usage_source: 'upstream' },
      ...{ cost_nano_usd: tokensIn * 150 + tokensOut * 600, price_id: 'prc_bench', first_token_ms: firstToken },
      ...{ latency_ms: (firstToken ?? 2) + tokensOut * 8, attempts: isServed ? 1 : 0, attempt_log: '[]' },
      ...{ trace_id: id.padEnd(32, '0').slice(4, 36), client_ip: `198.51.100.${key.user.length + (started_at % 200)}` },
      ...{ user_agent: 'OpenAI/JS 5.0', finish_reason: 'stop', is_synthetic: 0, service_tier: '', usage_details: '' },
      ...{ provider_key_id: isServed ? `pky_${provider}` : '', session_id: '', tags: key.tags, route_log: '' },
      ...{ cache_hit: cacheHit, mirror_of: '', wasted_nano_usd: 0, abort_policy: '' },
      ...{ agent: key.agent, service: '' },
    } satisfies RequestLogRow
  }

  return {
    keys: keys.map(({ id }) => id),

    /** `amount` requests of one day of UTC, oldest first, none at or after `until`. */
    *day(day: number, amount: number, until: number): Generator<RequestLogRow> {
      const all = hours.reduce((sum, share) => sum + share, 0)
      let number = 0
      for (const [hour, share] of hours.entries()) {
        const from = day + hour * 3_600_000
        const inHour = Math.round((amount * share) / all)
        for (let index = 0; index < inHour; index++) {
          const at = from + Math.floor(((index + dice()) * 3_600_000) / inHour)
          if (at < until) yield row(`req_${at.toString(36).padStart(9, '0')}${String(number++).padStart(12, '0')}`, at)
        }
      }
    },
  }
}
