import { showTenantId } from '../../kernel/scope.ts'
import { maskSecrets } from '../../platform/sealed-parameters.ts'
import type { ChannelView } from './configure.ts'
import { kindOf } from './records.ts'
import type { Receiver } from './schema.ts'
import type { AttemptRow, DeliveryRow } from './store.ts'

const toInstant = (at: number): string | null => (at === 0 ? null : new Date(at).toISOString())

/** A channel as the control API tells it. */
export function showChannel({ channel, standing }: ChannelView) {
  const { secrets } = kindOf(channel.type)
  const isTried = standing.lastOkAt > 0 || standing.lastFailedAt > 0
  return {
    ...{ id: channel.id, tenant_id: showTenantId(channel.tenantId), type: channel.type, name: channel.name },
    description: channel.description,
    parameters: maskSecrets(channel.parameters, secrets),
    sandbox: channel.sandbox === null ? null : maskSecrets(channel.sandbox, secrets),
    ...{ language: channel.language, zone: channel.zone, fallback_id: channel.fallbackId },
    ...{ title_template: channel.titleTemplate, body_template: channel.bodyTemplate },
    ...{ give_up_seconds: channel.giveUpMs / 1000, send_resolved: channel.sendResolved, enabled: channel.enabled },
    state: !channel.enabled ? 'disabled' : standing.brokenSince > 0 ? 'broken' : isTried ? 'ok' : 'untried',
    failures: standing.failures,
    ...{ last_ok_at: toInstant(standing.lastOkAt), last_failed_at: toInstant(standing.lastFailedAt) },
    ...{ last_reason: standing.lastReason, last_message: standing.lastMessage },
    ...{ broken_since: toInstant(standing.brokenSince), proven_at: toInstant(standing.provenAt) },
    proof_error: standing.proofError,
    ...{ created_at: toInstant(channel.createdAt), updated_at: toInstant(channel.updatedAt) },
  }
}

export function showReceiver({ id, tenantId, name, description, targets, createdAt, updatedAt }: Receiver) {
  return {
    ...{ id, tenant_id: showTenantId(tenantId), name, description },
    targets: targets.map(({ channelId, severities, times }) => ({ channel_id: channelId, severities, times })),
    ...{ created_at: toInstant(createdAt), updated_at: toInstant(updatedAt) },
  }
}

export function showDelivery(row: DeliveryRow, attempts: readonly AttemptRow[]) {
  const { channel_name, channel_type, is_text_cut, reached: _, ...rest } = row
  return {
    ...rest,
    tenant_id: showTenantId(row.tenant_id),
    ...{ channel: channel_name, type: channel_type, is_text_cut: is_text_cut === 1 },
    ...{ created_at: toInstant(row.created_at), decided_at: toInstant(row.decided_at) },
    attempts: attempts.map(({ id: __, delivery_id: ___, started_at, ...attempt }) => ({
      started_at: toInstant(started_at),
      ...attempt,
    })),
  }
}
