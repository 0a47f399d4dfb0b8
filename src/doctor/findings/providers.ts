import { toHubError } from '../../kernel/errors.ts'
import { bad, defineFinding, type Finding, ok, type Seen, skip, unknown, type Words, warn } from '../finding.ts'
import { messageOf, type World } from '../world.ts'
import { withTables } from './ledger.ts'

const dayMs = 86_400_000

type Fault = 'key' | 'quota' | 'limited' | 'network' | 'format' | 'failed'
type Standing = { name: string; fault: Fault | null; isKnown: boolean; evidence: string; models: string[] | null }

/** What keeps a provider from answering: its last real call first, then its free list. Money is never spent. */
async function standings(world: World): Promise<Standing[]> {
  const opened = await world.store()
  if (opened.kind !== 'open') return []
  const asked = new Map(
    ((await (world.isOffline ? null : world.providers())) ?? []).map((each) => [each.name, each.answer]),
  )
  const rows = (await opened.store.providers()).filter(({ is_synthetic }) => is_synthetic === 0)
  return Promise.all(
    rows.map(async ({ name, key_state, key_state_reason }): Promise<Standing> => {
      if (key_state === 'dead')
        return { name, fault: 'key', isKnown: true, evidence: `its key is dead: ${key_state_reason}`, models: null }
      const answer = asked.get(name)
      const models = answer !== undefined && 'models' in answer ? answer.models : null
      const last = await opened.store.lastCall(name, world.clock.now() - dayMs)
      if (last?.outcome === 'failure') {
        const fault = faultOf(last.error_code, last.status, last.error_message)
        // A list that comes says nothing about money and limits, but that key and network are right.
        if (fault !== null && (models === null || fault === 'quota' || fault === 'limited')) {
          return {
            name,
            fault,
            isKnown: true,
            evidence: `the last call: ${last.status} ${last.error_message}`.slice(0, 300),
            models,
          }
        }
      }
      if (answer !== undefined && 'error' in answer) {
        const { code, status, vendor } = toHubError(answer.error)
        const isListless = code === 'invalid_request' || status === 404 || status === 405
        const text = `${messageOf(answer.error)} ${vendor?.code ?? ''}`.trim()
        const fault = isListless ? null : faultOf(code, status, text)
        return {
          name,
          fault,
          isKnown: fault !== null || last?.outcome === 'success',
          evidence: text.slice(0, 300),
          models: null,
        }
      }
      return {
        name,
        fault: null,
        isKnown: models !== null || last?.outcome === 'success',
        evidence: models === null ? 'not asked' : `${models.length} models`,
        models,
      }
    }),
  )
}

function faultOf(code: string, status: number, text: string): Fault | null {
  if (
    status === 402 ||
    /insufficient.?(quota|balance|credit)|billing|exceeded your current quota|余额|欠费/i.test(text)
  )
    return 'quota'
  if (code === 'upstream_unauthorized') return 'key'
  if (code === 'upstream_rate_limited') return 'limited'
  if (/^upstream_(unreachable|connect_timeout|timeout|first_token_timeout|idle_timeout)$/.test(code)) return 'network'
  if (code === 'upstream_garbled') return 'format'
  return code === 'upstream_failed' || code === 'upstream_overloaded' || code === 'upstream_truncated' ? 'failed' : null
}

const known: readonly { fault: Fault; id: string; severity: Finding['severity']; cause: Words; remedy: Words }[] = [
  {
    ...{ fault: 'key', id: 'provider_key_refused', severity: 'critical' },
    cause: { en: 'The provider refuses our key.', zh: '供应商拒绝了我们的密钥。' },
    remedy: {
      en: 'Make a new key at the vendor and enter it (PATCH /api/providers/:id); look whether it is of the right region and project.',
      zh: '请在供应商处新建密钥并填写（PATCH /api/providers/:id）；确认区域与项目正确。',
    },
  },
  {
    ...{ fault: 'quota', id: 'provider_quota', severity: 'critical' },
    cause: { en: 'The account at the provider has no money or quota left.', zh: '供应商账户余额或配额已用尽。' },
    remedy: {
      en: 'Top it up at the vendor, or let another provider serve these models.',
      zh: '请在供应商处充值，或改由其他供应商提供这些模型。',
    },
  },
  {
    ...{ fault: 'limited', id: 'provider_limited', severity: 'major' },
    cause: {
      en: 'The provider limits us: too many requests or tokens a minute.',
      zh: '供应商限流：每分钟请求或 token 过多。',
    },
    remedy: {
      en: 'Set rate_limit of the provider to what the vendor allows, add keys or providers, or ask for more.',
      zh: '请将供应商的 rate_limit 设为厂商允许的值，增加密钥或供应商，或申请提高限额。',
    },
  },
  {
    ...{ fault: 'network', id: 'provider_unreachable', severity: 'critical' },
    cause: {
      en: 'The provider cannot be reached from here, or does not answer in time.',
      zh: '无法连接供应商，或其未及时应答。',
    },
    remedy: {
      en: 'Look at base_url, DNS, firewall, network.proxy and network.allow_private; try curl -v from this machine.',
      zh: '请检查 base_url、DNS、防火墙、network.proxy 与 network.allow_private；可在本机执行 curl -v。',
    },
  },
  {
    ...{ fault: 'format', id: 'provider_garbled', severity: 'critical' },
    cause: {
      en: 'What answers at the address of the provider does not speak its protocol.',
      zh: '供应商地址上的应答不符合其协议。',
    },
    remedy: {
      en: 'Look at type and base_url: a missing or doubled /v1, or a web page of a proxy, are the usual causes.',
      zh: '请检查 type 与 base_url：常见原因是缺少或重复 /v1，或返回了代理的网页。',
    },
  },
  {
    ...{ fault: 'failed', id: 'provider_failed', severity: 'major' },
    cause: { en: 'The provider itself fails.', zh: '供应商自身故障。' },
    remedy: {
      en: 'Look at the status page of the vendor; calls go to the next provider of the model where there is one.',
      zh: '请查看厂商状态页；若模型有其他供应商，调用会自动切换。',
    },
  },
]

export const providerFaults: readonly Finding[] = known.map(({ fault, id, severity, cause, remedy }) =>
  defineFinding({
    ...{ id, area: 'providers', severity },
    run: (world) =>
      withTables(world, async () => {
        const all = await standings(world)
        if (all.length === 0) return skip('no provider is enabled')
        const found = all.filter((each) => each.fault === fault)
        if (found.length > 0) {
          const names = found.map(({ name }) => name).join(', ')
          const evidence = found.map(({ name, evidence }) => `${name}: ${evidence}`).join('; ')
          return bad(evidence, { en: `${names}: ${cause.en}`, zh: `${names}：${cause.zh}` }, remedy)
        }
        return judgeOthers(all, world.isOffline)
      }),
  }),
)

function judgeOthers(all: readonly Standing[], isOffline: boolean): Seen {
  const unasked = all.filter(({ fault, isKnown }) => fault === null && !isKnown).map(({ name }) => name)
  if (unasked.length === 0) return ok(`${all.length} providers looked at`)
  if (isOffline) return skip('offline')
  return unknown(`${unasked.join(', ')}: no list, and no call of the last day`, {
    en: 'Nothing tells: it has no list of models, and nobody has called it lately.',
    zh: '无法判定：没有模型列表，且近期没有调用。',
  })
}

export const modelGone = defineFinding({
  id: 'model_gone',
  area: 'providers',
  severity: 'major',
  run: (world) =>
    withTables(world, async ({ store }) => {
      const [all, links] = [await standings(world), await store.links()]
      const listed = new Map(
        all.flatMap(({ name, models }) => (models === null || models.length === 0 ? [] : [[name, new Set(models)]])),
      )
      const asked = links.filter(({ provider }) => listed.has(provider))
      if (asked.length === 0) return skip('no provider tells which models it has')
      const gone = asked.filter(({ provider, provider_model }) => {
        const models = listed.get(provider)!
        return !models.has(provider_model) && !models.has(`models/${provider_model}`)
      })
      if (gone.length === 0) return ok(`${asked.length} models are on the lists of their providers`)
      const names = gone
        .map(({ model, provider, provider_model }) => `${provider_model} at ${provider} (for ${model})`)
        .join(', ')
      return warn(
        names,
        {
          en: `Providers no longer list models that we ask them for: ${names}.`,
          zh: `供应商的模型列表中已没有我们使用的模型：${names}。`,
        },
        {
          en: 'Change provider_model to its successor, or remove the association (PATCH or DELETE /api/model-providers/:id).',
          zh: '请将 provider_model 改为后继模型，或删除该关联（PATCH 或 DELETE /api/model-providers/:id）。',
        },
      )
    }),
})

export const aliasLoop = defineFinding({
  id: 'alias_loop',
  area: 'providers',
  severity: 'major',
  run: (world) =>
    withTables(world, async ({ store }) => {
      const models = await store.models()
      const byId = new Map(models.map((model) => [model.id, model]))
      const aliases = models.filter(({ alias_of }) => alias_of !== '')
      if (aliases.length === 0) return skip('no model is another name')
      const lost = aliases.filter((model) => !leadsSomewhere(model, byId)).map(({ name }) => name)
      if (lost.length === 0) return ok(`${aliases.length} aliases lead to a model`)
      return bad(
        lost.join(', '),
        {
          en: `These names lead to no model, but in a circle or to one that is gone: ${lost.join(', ')}.`,
          zh: `以下别名循环引用或指向不存在的模型：${lost.join('、')}。`,
        },
        {
          en: 'Set alias_of of one of them to a model that providers serve (PATCH /api/models/:id).',
          zh: '请将其中之一的 alias_of 改为有供应商的模型（PATCH /api/models/:id）。',
        },
      )
    }),
})

type Named = { id: string; alias_of: string }

function leadsSomewhere(from: Named, byId: ReadonlyMap<string, Named>): boolean {
  const seen = new Set<string>()
  for (let at: Named | undefined = from; at !== undefined; at = byId.get(at.alias_of)) {
    if (at.alias_of === '') return true
    if (seen.has(at.id)) return false
    seen.add(at.id)
  }
  return false
}
