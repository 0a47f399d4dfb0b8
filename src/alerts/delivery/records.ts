import { fail } from '../../kernel/errors.ts'
import { openParameters, type SealedParameters, sealParameters } from '../../platform/sealed-parameters.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { Channel } from '../channels/channel.ts'
import { channels } from '../channels/index.ts'
import { type ConfiguredChannel, type Receiver, type Standing, type Target, untried } from './schema.ts'
import type { ChannelRow, ReceiverRow } from './store.ts'

/** The kind of channel of this name; `invalid_request` when there is none. */
export function kindOf(type: string): Channel {
  const kind = channels.find((each) => each.type === type)
  if (kind !== undefined) return kind
  const known = channels.map((each) => each.type).join(', ')
  throw fail('invalid_request', `there is no channel type ${type}; there are ${known}`, { param: 'type' })
}

/** Parameters as a channel takes them, with its defaults; `invalid_request` that names each wrong one. */
export function readParameters(kind: Channel, parameters: unknown, param = 'parameters'): Record<string, unknown> {
  const read = kind.parameters.safeParse(parameters)
  if (read.success) return read.data as Record<string, unknown>
  const issues = read.error.issues.map(({ path, message }) => ({ path: [param, ...path].join('.'), message }))
  throw fail('invalid_request', `${issues[0]!.path}: ${issues[0]!.message}`, { param: issues[0]!.path, issues })
}

export function seal(
  secrets: Pick<Secrets, 'encrypt'>,
  id: string,
  kind: Channel,
  parameters: Record<string, unknown>,
): SealedParameters {
  return sealParameters(secrets, contextOf(id), kind.secrets, parameters)
}

export function toChannel(row: ChannelRow, secrets: Pick<Secrets, 'decrypt'>): ConfiguredChannel {
  const open = (sealed: SealedParameters) => openParameters(secrets, contextOf(row.id), sealed)
  return {
    ...{ id: row.id, tenantId: row.tenant_id, name: row.name, type: row.type, description: row.description },
    parameters: open(row),
    sandbox: row.sandbox === '' ? null : open({ parameters: row.sandbox, sealed: row.sandbox_sealed }),
    ...{ language: row.language as 'en' | 'zh', zone: row.zone },
    ...{ titleTemplate: row.title_template, bodyTemplate: row.body_template, fallbackId: row.fallback_id },
    ...{ giveUpMs: row.give_up_seconds * 1000, sendResolved: row.send_resolved === 1, enabled: row.enabled === 1 },
    ...{ createdAt: row.created_at, updatedAt: row.updated_at },
  }
}

export function toReceiver(row: ReceiverRow): Receiver {
  const { id, tenant_id, name, description, targets, created_at, updated_at } = row
  return {
    ...{ id, tenantId: tenant_id, name, description, targets: JSON.parse(targets) as Target[] },
    ...{ createdAt: created_at, updatedAt: updated_at },
  }
}

export function toStanding(text: string | null | undefined): Standing {
  return text === null || text === undefined ? { ...untried } : { ...untried, ...(JSON.parse(text) as Standing) }
}

function contextOf(id: string): string {
  return `channel ${id}`
}
