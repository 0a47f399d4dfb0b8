import type { Clock } from '../../kernel/clock.ts'
import { fail, HubError } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import { type Page, toPage } from '../../kernel/page.ts'
import { type Scope, withinTenant } from '../../kernel/scope.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import { isUniqueViolation } from '../../platform/database/index.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import { unmaskSecrets } from '../../platform/sealed-parameters.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { Channel } from '../channels/channel.ts'
import { TemplateError } from '../writing/template.ts'
import { kindOf, readParameters, seal, toChannel, toReceiver, toStanding } from './records.ts'
import type {
  ChannelPatch,
  ChannelWish,
  ConfiguredChannel,
  Receiver,
  ReceiverPatch,
  ReceiverWish,
  Standing,
  Target,
} from './schema.ts'
import type { ChannelRow, DeliveryStore } from './store.ts'
import { checkTemplate } from './templates/index.ts'

export type ChannelView = { channel: ConfiguredChannel; standing: Standing }

/** Channels and receivers as people configure them. What is outside a scope is `not_found`, as if it were not. */
export type Configure = ReturnType<typeof createConfigure>

export function createConfigure(own: {
  store: DeliveryStore
  secrets: Pick<Secrets, 'encrypt' | 'decrypt'>
  wayOf(tenantId: string): Pick<Upstreams, 'checkUrl'>
  /** Resolves when what was changed is what messages go by. */
  changed(): Promise<void>
  bus: Bus
  clock: Clock
  mostChannels(): number
}) {
  const { store, secrets, wayOf, bus, clock, mostChannels } = own

  async function spread(): Promise<void> {
    bus.announce('config.changed', { kind: 'channels' })
    await own.changed()
  }

  function toView(row: ChannelRow & { standing: string | null }): ChannelView {
    return { channel: toChannel(row, secrets), standing: toStanding(row.standing) }
  }

  async function getChannel(scope: Scope, id: string): Promise<ChannelView> {
    const row = await store.findChannel(scope, id)
    if (row === undefined) throw fail('not_found', `there is no channel ${id}`, { param: 'id' })
    return toView(row)
  }

  /** Both sets of parameters as they are stored, checked as a whole: a sandbox is the channel with some of it different. */
  function readBoth(
    tenantId: string,
    kind: Channel,
    parameters: Record<string, unknown>,
    sandbox: Record<string, unknown> | null,
  ) {
    const read = readParameters(kind, parameters)
    const both = [read]
    if (sandbox !== null) both.push(readParameters(kind, { ...read, ...sandbox }, 'sandbox'))
    for (const each of both) {
      for (const url of kind.addresses(each)) wayOf(tenantId).checkUrl(url, 'parameters')
    }
    return read
  }

  async function checkFallback(tenantId: string, id: string, fallbackId: string): Promise<void> {
    const seen = new Set([id])
    for (let next = fallbackId; next !== ''; ) {
      if (seen.has(next))
        throw fail('invalid_request', 'channels would stand in for each other in a circle', { param: 'fallback_id' })
      seen.add(next)
      const row = await store.findChannel(withinTenant(tenantId), next)
      if (row === undefined)
        throw fail('not_found', `there is no channel ${next} in this tenant`, { param: 'fallback_id' })
      next = row.fallback_id
    }
  }

  async function toTargets(tenantId: string, wished: ReceiverWish['targets']): Promise<Target[]> {
    for (const [index, { channel_id }] of wished.entries()) {
      if ((await store.findChannel(withinTenant(tenantId), channel_id)) === undefined) {
        const param = `targets.${index}.channel_id`
        throw fail('not_found', `there is no channel ${channel_id} in this tenant`, { param })
      }
    }
    return wished.map(({ channel_id, severities, times }) => ({ channelId: channel_id, severities, times }))
  }

  async function getReceiver(scope: Scope, id: string): Promise<Receiver> {
    const row = await store.findReceiver(scope, id)
    if (row === undefined) throw fail('not_found', `there is no receiver ${id}`, { param: 'id' })
    return toReceiver(row)
  }

  return {
    getChannel,
    getReceiver,

    async listChannels(scope: Scope, limit: number, cursor?: string): Promise<Page<ChannelView>> {
      const page = toPage(await store.listChannels(scope, limit + 1, cursor), limit, ({ id }) => id)
      return { ...page, data: page.data.map(toView) }
    },

    async createChannel(tenantId: string, wish: ChannelWish): Promise<ChannelView> {
      const kind = kindOf(wish.type)
      if ((await store.countChannels()) >= mostChannels()) {
        throw fail('conflict', `there are ${mostChannels()} channels already: see alerts.max_channels`)
      }
      const id = createId('channel', clock.now())
      checkTemplates(wish)
      await checkFallback(tenantId, id, wish.fallback_id)
      const read = readBoth(tenantId, kind, wish.parameters, wish.sandbox)
      const row: ChannelRow = {
        ...{ id, tenant_id: tenantId, name: wish.name, type: wish.type, description: wish.description },
        ...seal(secrets, id, kind, read),
        ...sealSandbox(id, kind, wish.sandbox),
        ...toColumns(wish),
        ...{ created_at: clock.now(), updated_at: clock.now() },
      } as ChannelRow
      await unlessTaken(store.insertChannel(row), 'channel', wish.name)
      await spread()
      return toView({ ...row, standing: null })
    },

    async patchChannel(scope: Scope, id: string, patch: ChannelPatch): Promise<ChannelView> {
      const { channel } = await getChannel(scope, id)
      const kind = kindOf(channel.type)
      checkTemplates(patch)
      if (patch.fallback_id !== undefined) await checkFallback(channel.tenantId, id, patch.fallback_id)
      const sandbox =
        patch.sandbox == null
          ? patch.sandbox
          : unmaskSecrets(patch.sandbox, { ...channel.parameters, ...channel.sandbox }, kind.secrets, 'sandbox')
      const parameters =
        patch.parameters && unmaskSecrets(patch.parameters, channel.parameters, kind.secrets, 'parameters')
      const read = readBoth(
        channel.tenantId,
        kind,
        parameters ?? channel.parameters,
        sandbox === undefined ? channel.sandbox : sandbox,
      )
      const changed = await unlessTaken(
        store.patchChannel(scope, id, {
          ...(parameters === undefined ? {} : seal(secrets, id, kind, read)),
          ...(sandbox === undefined ? {} : sealSandbox(id, kind, sandbox)),
          ...toColumns(patch),
          updated_at: Math.max(clock.now(), channel.updatedAt + 1),
        }),
        'channel',
        patch.name ?? channel.name,
      )
      if (changed === undefined) throw fail('not_found', `there is no channel ${id}`, { param: 'id' })
      await spread()
      return getChannel(scope, id)
    },

    /** `conflict` while a receiver or another channel names it: nobody is to lose alerts by a deletion. */
    async deleteChannel(scope: Scope, id: string): Promise<void> {
      const { channel } = await getChannel(scope, id)
      const [receivers, others] = await Promise.all([store.loadReceivers(), store.loadChannels()])
      const user =
        receivers.find(({ targets }) => (JSON.parse(targets) as Target[]).some(({ channelId }) => channelId === id)) ??
        others.find(({ fallback_id }) => fallback_id === id)
      if (user !== undefined) {
        throw fail('conflict', `the channel ${channel.name} is used by ${user.name}; take it out there first`, {
          param: 'id',
        })
      }
      if (!(await store.deleteChannel(scope, id))) throw fail('not_found', `there is no channel ${id}`, { param: 'id' })
      await spread()
    },

    async listReceivers(scope: Scope, limit: number, cursor?: string): Promise<Page<Receiver>> {
      const page = toPage(await store.listReceivers(scope, limit + 1, cursor), limit, ({ id }) => id)
      return { ...page, data: page.data.map(toReceiver) }
    },

    async createReceiver(tenantId: string, wish: ReceiverWish): Promise<Receiver> {
      const targets = await toTargets(tenantId, wish.targets)
      const now = clock.now()
      const row = {
        ...{ id: createId('receiver', now), tenant_id: tenantId, name: wish.name, description: wish.description },
        ...{ targets: JSON.stringify(targets), created_at: now, updated_at: now },
      }
      await unlessTaken(store.insertReceiver(row), 'receiver', wish.name)
      await spread()
      return toReceiver(row)
    },

    async patchReceiver(scope: Scope, id: string, patch: ReceiverPatch): Promise<Receiver> {
      const receiver = await getReceiver(scope, id)
      const targets = patch.targets && JSON.stringify(await toTargets(receiver.tenantId, patch.targets))
      const changed = await unlessTaken(
        store.patchReceiver(scope, id, {
          ...defined({ name: patch.name, description: patch.description, targets }),
          updated_at: Math.max(clock.now(), receiver.updatedAt + 1),
        }),
        'receiver',
        patch.name ?? receiver.name,
      )
      if (changed === undefined) throw fail('not_found', `there is no receiver ${id}`, { param: 'id' })
      await spread()
      return getReceiver(scope, id)
    },

    async deleteReceiver(scope: Scope, id: string): Promise<void> {
      if (!(await store.deleteReceiver(scope, id)))
        throw fail('not_found', `there is no receiver ${id}`, { param: 'id' })
      await spread()
    },
  }

  function sealSandbox(id: string, kind: Channel, sandbox: Record<string, unknown> | null) {
    if (sandbox === null) return { sandbox: '', sandbox_sealed: '' }
    const { parameters, sealed } = seal(secrets, id, kind, sandbox)
    return { sandbox: parameters, sandbox_sealed: sealed }
  }
}

function checkTemplates(wish: { title_template?: string | undefined; body_template?: string | undefined }): void {
  for (const name of ['title_template', 'body_template'] as const) {
    try {
      checkTemplate(wish[name] ?? '')
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error
      throw fail('invalid_request', `${name}: ${error.message}`, { param: name })
    }
  }
}

function toColumns(wish: ChannelPatch): Partial<ChannelRow> {
  return defined({
    ...{ name: wish.name, description: wish.description, language: wish.language, zone: wish.zone },
    ...{ title_template: wish.title_template, body_template: wish.body_template, fallback_id: wish.fallback_id },
    give_up_seconds: wish.give_up_seconds,
    send_resolved: wish.send_resolved === undefined ? undefined : Number(wish.send_resolved),
    enabled: wish.enabled === undefined ? undefined : Number(wish.enabled),
  })
}

function defined<T extends Record<string, unknown>>(values: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never
}

async function unlessTaken<T>(work: Promise<T>, kind: string, name: string): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof HubError) && isUniqueViolation(error)) {
      throw fail('conflict', `this tenant has a ${kind} ${name}`, { param: 'name' })
    }
    throw error
  }
}
