import { showTenantId } from '../../kernel/scope.ts'
import { maskParameters } from './records.ts'
import type { MonitorView } from './schema.ts'

export const toInstant = (at: number): string | null => (at === 0 ? null : new Date(at).toISOString())

/** A check as the control API tells it. */
export function showMonitor({ monitor, standing }: MonitorView) {
  return {
    id: monitor.id,
    tenant_id: showTenantId(monitor.tenantId),
    type: monitor.type,
    name: monitor.name,
    level: monitor.level,
    description: monitor.description,
    parameters: maskParameters(monitor),
    interval_seconds: monitor.intervalMs / 1000,
    retry_interval_seconds: monitor.retryIntervalMs / 1000,
    timeout_seconds: monitor.timeoutMs / 1000,
    retries: monitor.retries,
    failures: monitor.failures,
    successes: monitor.successes,
    enabled: monitor.enabled,
    is_public: monitor.isPublic,
    is_upside_down: monitor.isUpsideDown,
    depends_on: [...monitor.dependsOn],
    windows: monitor.windows.map((each) => ({ ...each })),
    has_push_token: monitor.hasPushToken,
    state: monitor.enabled ? standing.state : ('paused' as const),
    is_warning: standing.isWarning,
    reason: standing.reason,
    message: standing.message,
    observed: standing.observed,
    latency_ms: standing.checkedAt === 0 ? null : standing.latencyMs,
    state_since: toInstant(standing.since),
    checked_at: toInstant(standing.checkedAt),
    last_ok_at: toInstant(standing.lastOkAt),
    suppressed_by: standing.suppressedBy,
    created_at: toInstant(monitor.createdAt),
    updated_at: toInstant(monitor.updatedAt),
  }
}
