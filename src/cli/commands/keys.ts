import { randomUUID } from 'node:crypto'
import { type Audit, createIdentity, type IdentityTables, type Key, type Keys } from '../../identity/index.ts'
import { systemClock } from '../../kernel/clock.ts'
import { toHubError } from '../../kernel/errors.ts'
import { everything, hubTenant } from '../../kernel/scope.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, printTable, reportUsage } from '../report.ts'
import { withPlatform } from '../store.ts'

const pageSize = 200

/** API keys without a session: whoever may read the data folder owns the hub. A running hub follows within seconds. */
export const keys: Command = {
  name: 'keys',
  summary: { en: 'Make, list or revoke API keys', zh: '创建、列出或吊销 API 密钥' },
  commands: [
    {
      name: 'create',
      summary: { en: 'Make an API key; it is shown this once', zh: '创建 API 密钥；仅显示这一次' },
      options: [
        ...configOptions,
        { flags: '--name <name>', summary: { en: 'What it is for', zh: '用途名称' } },
        {
          flags: '--models <list>',
          summary: {
            en: 'Models it may use, separated by commas; a name may end in * (default all)',
            zh: '允许的模型，逗号分隔，可用 * 结尾（默认全部）',
          },
        },
      ],
      run: create,
    },
    {
      name: 'list',
      summary: { en: 'List API keys; only their last four characters are known', zh: '列出 API 密钥（仅保存末四位）' },
      options: configOptions,
      run: list,
    },
    {
      name: 'revoke',
      summary: { en: 'Revoke an API key for good', zh: '永久吊销 API 密钥' },
      args: [{ name: '<id>', summary: { en: 'Its id, as in key_…', zh: '密钥 ID，形如 key_…' } }],
      options: configOptions,
      run: revoke,
    },
  ],
}

async function create(call: Call): Promise<ExitCode> {
  const { name, models } = call.options
  if (typeof name !== 'string' || name.trim() === '') {
    return reportUsage(call, 'Say what the key is for: --name NAME', '请用 --name 指定密钥用途')
  }
  const allowedModels =
    typeof models === 'string'
      ? models
          .split(',')
          .map((model) => model.trim())
          .filter((model) => model !== '')
      : null
  return withKeys(call, async (all, audited) => {
    const wish = { name: name.trim(), tenantId: hubTenant.id, userId: '', allowedModels }
    const { key, text } = await audited('keys.create', '', () => all.create(wish))
    if (call.json) printJson(call.terminal, { ...show(key), key: text })
    else {
      call.terminal.out(text)
      call.terminal.err(`${key.id}: shown only this once · 仅显示这一次，请妥善保存`)
    }
  })
}

async function list(call: Call): Promise<ExitCode> {
  return withKeys(call, async (all) => {
    const found: Key[] = []
    for (let cursor: string | undefined; ; ) {
      const page = await all.list(everything, {}, pageSize, cursor)
      found.push(...page.data)
      if (page.next_cursor === null) break
      cursor = page.next_cursor
    }
    if (call.json) return printJson(call.terminal, found.map(show))
    const rows = found.map((key) => [
      key.id,
      `…${key.lastFour}`,
      key.enabled ? 'enabled' : 'disabled',
      key.allowedModels?.join(',') ?? '*',
      key.lastUsedAt === null ? 'never used' : new Date(key.lastUsedAt).toISOString(),
      key.name,
    ])
    printTable(call.terminal, rows)
  })
}

async function revoke(call: Call): Promise<ExitCode> {
  const [id = ''] = call.args
  return withKeys(call, async (all, audited) => {
    await audited('keys.delete', id, () => all.delete(everything, id))
    if (call.json) printJson(call.terminal, { ok: true, id })
    else call.terminal.out(`${id} revoked · 已吊销`)
  })
}

/** A change at the store itself is written down like one over the API. */
type Audited = <T>(action: string, target: string, work: () => Promise<T>) => Promise<T>

async function withKeys(call: Call, use: (keys: Keys, audited: Audited) => Promise<void>): Promise<ExitCode> {
  return withPlatform<IdentityTables>(call, async (platform, config) => {
    const { database, secrets, bus, log, metrics, counter, mailer, upstreams } = platform
    const identity = createIdentity({
      ...{ db: database.kysely, secrets, bus, log, metrics, counter, mailer, upstreams, clock: systemClock },
      ...{ publicUrl: config.server.public_url, config: config.auth },
      // Any will do: without one a fresh set-up token would be made, and the running hub's would end.
      adminKey: randomUUID(),
    })
    try {
      await identity.start()
      await use(identity.keys, createAudited(call, identity.audit))
      return exitCodes.ok
    } finally {
      await identity.stop()
    }
  })
}

function createAudited({ terminal }: Call, audit: Audit): Audited {
  const name = terminal.env.SUDO_USER ?? terminal.env.USER ?? ''
  return async (action, target, work) => {
    const open = await audit.begin({
      ...{ action, target, principal: null, actor: { kind: 'cli', id: 'cli', name }, before: null },
      ...{ requestId: '', traceId: '', clientIp: '', userAgent: 'gatehouse' },
    })
    try {
      const done = await work()
      const made = (done as { key?: Key } | undefined)?.key
      await open.end({ status: 200, code: '', target: made?.id ?? target, after: made && show(made) })
      return done
    } catch (error) {
      const { status, code } = toHubError(error)
      await open.end({ status, code })
      throw error
    }
  }
}

function show({ id, name, lastFour, allowedModels, enabled, expiresAt, createdAt, lastUsedAt }: Key) {
  return {
    ...{ id, name, last_four: lastFour, allowed_models: allowedModels, enabled },
    ...{ expires_at: expiresAt, created_at: createdAt, last_used_at: lastUsedAt },
  }
}
