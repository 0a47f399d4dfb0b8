import { createDice } from '../../kernel/dice.ts'
import type { TestForeign } from '../../platform/foreign/owner.ts'

/** What a gateway of some time had: before request ids, addresses and refunds, or with all of it. */
export type Generation = '2025-05' | '2026-08'

/** One call as it truly was; everything a report may say of it. */
export type TrueCall = {
  /** Epoch seconds at which it counts. */
  seconds: number
  user: number
  token: number
  channel: number
  model: string
  served: string
  path: string
  group: string
  stream: boolean
  error: string
  status: string
  requests: number
  successes: number
  failures: number
  attempts: number
  tokensIn: number
  tokensOut: number
  cachedRead: number
  cachedWrite: number
  quota: number
  latencyMs: number | null
  firstTokenMs: number | null
}

export type GatewayRow = Record<string, string | number | boolean | null>

export type TestGateway = {
  generation: Generation
  columns: string[]
  /** In the order in which they are written; `late` ones long after the others of their time. */
  rows: GatewayRow[]
  late: GatewayRow[]
  calls: TrueCall[]
  lateCalls: TrueCall[]
}

const models = [
  { name: 'gpt-4o', served: 'gpt-4o', isAnthropic: false },
  { name: 'claude-sonnet', served: 'claude-sonnet-4-5', isAnthropic: true },
  { name: 'deepseek-chat', served: 'deepseek-chat', isAnthropic: false },
  { name: '=cmd()|模型', served: '=cmd()|模型', isAnthropic: false },
] as const
const paths = ['/v1/chat/completions', '/v1/messages', '/v1/responses']
const errors = [
  ['rate_limit_exceeded', 429],
  ['upstream_error', 502],
  ['invalid_request', 400],
] as const

export type GatewayWish = {
  seed: number
  events: number
  /** Epoch seconds. */
  from: number
  to: number
  generation: Generation
  users?: number
  /** Share of what happens that is written late. */
  late?: number
}

/**
 * What happened at a gateway, made up from a seed, and the rows that it would have written of it. The truth is taken
 * from what happened, never from the rows.
 */
export function makeGateway({ seed, events, from, to, generation, users = 12, late = 0.01 }: GatewayWish): TestGateway {
  const dice = createDice(seed)
  const below = (limit: number) => Math.floor(dice() * limit)
  const pick = <T>(values: readonly T[]): T => values[below(values.length)]!
  const isNew = generation === '2026-08'
  const columns = [
    ...['id', 'user_id', 'created_at', 'type', 'content', 'username', 'token_name', 'model_name', 'quota'],
    ...['prompt_tokens', 'completion_tokens', 'use_time', 'is_stream', 'channel_id', 'token_id', 'group', 'other'],
    ...(isNew ? ['ip', 'request_id'] : []),
  ]
  const made: TestGateway = { generation, columns, rows: [], late: [], calls: [], lateCalls: [] }
  const batch: { rows: GatewayRow[]; calls: TrueCall[] }[] = []

  for (let n = 0; n < events; n++) {
    const happened = { rows: [] as GatewayRow[], calls: [] as TrueCall[] }
    batch.push(happened)
    const time = from + Math.floor(((to - from) * n) / events)
    // Nodes of one gateway have clocks of their own.
    const skew = dice() < 0.02 ? below(241) - 120 : 0
    const seconds = Math.min(to - 1, Math.max(from, time + skew))
    const user = 1 + Math.floor(dice() ** 2 * users)
    const token = user * 10 + Math.floor(dice() ** 2 * 3)
    const channel = 1 + Math.floor(dice() ** 3 * 5)
    // People have habits; now and then they do something else.
    const habit = <T>(values: readonly T[], usual: number) =>
      dice() < 0.9 ? values[usual % values.length]! : pick(values)
    const { name: model, served, isAnthropic } = habit(models, user)
    const path = habit(paths, user)
    const group = ['default', 'vip'][user % 2]!
    const stream = habit([true, false], user >> 1)
    const requestId = `r${seed}-${n}`
    const base = {
      ...{ user_id: user, username: `user ${user} 用户`, token_name: `token ${token}`, token_id: token },
      ...{ model_name: model, channel_id: channel, group, is_stream: stream, content: '', quota: 0 },
      ...{ prompt_tokens: 0, completion_tokens: 0, use_time: 0 },
      ...(isNew ? { ip: `192.0.2.${user}`, request_id: requestId } : {}),
    }
    const call = (changes: Partial<TrueCall>): TrueCall => ({
      ...{ seconds, user, token, channel, model, served: model, path, group, stream, error: '', status: '2xx' },
      ...{ requests: 0, successes: 0, failures: 0, attempts: 0, tokensIn: 0, tokensOut: 0 },
      ...{ cachedRead: 0, cachedWrite: 0, quota: 0, latencyMs: null, firstTokenMs: null, ...changes },
    })

    const fails = (attempts: number, endsWell: boolean) => {
      const gap = 1 + below(400)
      for (let attempt = 0; attempt < attempts; attempt++) {
        const [error, status] = pick(errors)
        const useTime = below(20)
        const at = Math.max(from, seconds - (attempts - attempt - (endsWell ? 0 : 1)) * gap)
        const where = endsWell || attempt < attempts - 1 ? 1 + below(5) : channel
        const other = { error_type: 'new_api_error', error_code: error, status_code: status, request_path: path }
        const row = {
          ...base,
          created_at: at,
          type: 5,
          channel_id: where,
          use_time: useTime,
          other: JSON.stringify(other),
        }
        happened.rows.push(row)
        const isLast = attempt === attempts - 1
        // An old gateway does not tell which attempts were of one request.
        if (isNew && (endsWell || !isLast)) continue
        happened.calls.push(
          call({
            ...{ seconds: at, channel: where, error, status: `${String(status)[0]}xx`, requests: 1, failures: 1 },
            ...{ attempts: isNew ? attempts : 1, latencyMs: useTime * 1000 },
          }),
        )
      }
    }

    const succeeds = (attemptsBefore: number, changes: { token?: number; isTask?: boolean } = {}) => {
      const [prompt, completion, quota] = [1 + below(4000), below(900), below(50_000)]
      const isCached = dice() < 0.4
      const [cachedRead, cachedWrite] = isCached ? [below(3000), isAnthropic ? below(500) : 0] : [0, 0]
      const useTime = below(60)
      const firstTokenMs = stream ? 50 + below(3000) : null
      const isMapped = served !== model
      const tokenId = changes.token ?? token
      const other = {
        ...{
          model_ratio: 1.25,
          group_ratio: 1,
          completion_ratio: 4,
          frt: firstTokenMs ?? -1000,
          request_path: `${path}?beta=true`,
        },
        ...(isCached ? { cache_tokens: cachedRead, cache_ratio: 0.1 } : {}),
        ...(isCached && isAnthropic ? { cache_creation_tokens: cachedWrite } : {}),
        ...(isAnthropic ? { claude: true } : {}),
        ...(isMapped ? { is_model_mapped: true, upstream_model_name: served } : {}),
        ...(changes.isTask ? { is_task: true } : {}),
        admin_info: { use_channel: [String(channel)] },
      }
      happened.rows.push({
        ...{ ...base, created_at: seconds, type: 2, quota, prompt_tokens: prompt, completion_tokens: completion },
        ...{ use_time: useTime, token_id: tokenId, other: JSON.stringify(other) },
        ...(tokenId === 0 ? { token_name: '模型测试' } : {}),
      })
      happened.calls.push(
        call({
          ...{ token: tokenId, served, requests: 1, successes: 1, attempts: 1 + (isNew ? attemptsBefore : 0), quota },
          ...{ tokensIn: prompt + (isAnthropic ? cachedRead + cachedWrite : 0), tokensOut: completion },
          ...{ cachedRead, cachedWrite, latencyMs: useTime * 1000, firstTokenMs },
        }),
      )
      return quota
    }

    const kind = dice()
    if (kind < 0.72) succeeds(0)
    else if (kind < 0.8) {
      const attempts = 1 + below(3)
      fails(attempts, true)
      succeeds(attempts)
    } else if (kind < 0.86) fails(1 + below(3), false)
    else if (kind < 0.89) {
      // A task is paid for at once; what it truly cost is settled later, or all of it is paid back.
      const paid = succeeds(0, { isTask: true })
      const at = Math.min(to - 1, seconds + 1 + below(1800))
      const isRefund = isNew && dice() < 0.5
      const quota = isRefund ? paid : below(9000)
      const other = { is_task: true, task_id: `t${n}`, pre_consumed_quota: paid, actual_quota: paid + quota }
      happened.rows.push({
        ...{ ...base, created_at: at, type: isRefund ? 6 : 2, quota, is_stream: false, other: JSON.stringify(other) },
        ...(isNew ? { request_id: '' } : {}),
      })
      happened.calls.push(call({ seconds: at, quota: isRefund ? -quota : quota, stream: false, path: '' }))
    } else if (kind < 0.92) succeeds(0, { token: 0 })
    else {
      // Top-ups, what administrators do, log-ins: they carry quota and addresses, and are no usage.
      const other = kind < 0.94 ? '{"op":{"action":"login"}}' : ''
      const quota = below(1_000_000)
      happened.rows.push({
        ...{ ...base, created_at: seconds, type: pick(isNew ? [0, 1, 3, 4, 7] : [0, 1, 3, 4]), quota, other },
        ...{ token_id: 0, channel_id: 0, model_name: '', ...(isNew ? { request_id: '' } : {}) },
      })
    }
  }
  for (const { rows, calls } of batch) {
    const isLate = dice() < late
    made[isLate ? 'late' : 'rows'].push(...rows)
    made[isLate ? 'lateCalls' : 'calls'].push(...calls)
  }
  for (const [index, row] of [...made.rows, ...made.late].entries()) row.id = index + 1
  return made
}

type Types = { id: string; int: string; text: string; bool: string; key: string; quote(name: string): string }

const types: Record<TestForeign['engine'], Types> = {
  sqlite: {
    id: 'integer primary key',
    int: 'integer',
    text: 'text',
    bool: 'numeric',
    key: 'text',
    quote: (n) => `"${n}"`,
  },
  postgres: {
    id: 'bigserial primary key',
    int: 'bigint',
    text: 'text',
    bool: 'boolean',
    key: 'text',
    quote: (n) => `"${n}"`,
  },
  mysql: {
    ...{ id: 'bigint auto_increment primary key', int: 'bigint', text: 'longtext', bool: 'boolean' },
    ...{ key: 'varchar(191)', quote: (name: string) => `\`${name}\`` },
  },
}

/** The gateway's tables, as far as anybody may look for them, with their secrets. */
export async function createTables(foreign: TestForeign, generation: Generation): Promise<void> {
  await createLogs(foreign, generation)
  const { id, int, key, quote } = types[foreign.engine]
  await foreign.run(
    `create table users (id ${id}, username ${key}, password ${key}, access_token ${key}, quota ${int}, ${quote('group')} ${key})`,
  )
  await foreign.run(`create table tokens (id ${id}, user_id ${int}, ${quote('key')} ${key}, name ${key})`)
  await foreign.run(`create table channels (id ${id}, type ${int}, ${quote('key')} ${key}, name ${key})`)
  await foreign.run(`create table options (${quote('key')} ${key} primary key, value ${key})`)
  await foreign.insert('users', ['id', 'username', 'password'], [[1, 'the first 用户', 'a hash']])
  await foreign.insert('tokens', ['id', 'name', 'key'], [[10, 'laptop', 'a secret of a token']])
  const channels = [1, 2, 3, 4, 5].map((channel) => [channel, `channel ${channel} 渠道`, 'a secret of a channel'])
  await foreign.insert('channels', ['id', 'name', 'key'], channels)
  await foreign.insert('options', ['key', 'value'], [['SMTPToken', 'a secret of the gateway']])
}

/** Its table of logs alone, as LOG_SQL_DSN has it. */
export async function createLogs(foreign: TestForeign, generation: Generation): Promise<void> {
  const { id, int, text, bool, key, quote } = types[foreign.engine]
  const isNew = generation === '2026-08'
  // Migrated databases have their columns in any order.
  const fields = [
    `id ${id}, user_id ${int}, created_at ${int}, type ${int}, content ${text}, username ${key} default ''`,
    `token_name ${key} default '', model_name ${key} default '', quota ${int} default 0, prompt_tokens ${int} default 0`,
    `completion_tokens ${int} default 0, use_time ${int} default 0, is_stream ${bool}, channel_id ${int}`,
    `channel_name ${text}, token_id ${int} default 0, ${quote('group')} ${key}, other ${text}`,
    ...(isNew ? [`ip ${key} default '', request_id ${key} default ''`] : []),
  ]
  await foreign.run(`create table logs (${fields.join(', ')})`)
  await foreign.run('create index idx_created_at_type on logs (created_at, type)')
  if (isNew) await foreign.run('create index idx_logs_request_id on logs (request_id)')
}

export async function writeRows(
  foreign: TestForeign,
  { columns }: TestGateway,
  rows: readonly GatewayRow[],
): Promise<void> {
  const values = rows.map((row) => columns.map((name) => row[name] ?? null))
  await foreign.insert('logs', columns, values)
}
