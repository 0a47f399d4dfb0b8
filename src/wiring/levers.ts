import type { ReloadRoom } from '../config/reload-room.ts'
import type { Gateway } from '../gateway/index.ts'
import type { Identity } from '../identity/index.ts'
import type { ActionLevers } from '../incidents/index.ts'
import { HubError } from '../kernel/errors.ts'
import { everything } from '../kernel/scope.ts'
import type { RiskRow } from '../risk/index.ts'
import type { SourceRow } from '../sources/index.ts'
import type { Telemetry } from '../telemetry/index.ts'

/** What the risk room may do to keys, and where it writes that down. */
export function createRiskLevers({ keys, audit }: Pick<Identity, 'keys' | 'audit'>) {
  return {
    async isKeyEnabled(keyId: string) {
      return keys.get(everything, keyId).then(
        ({ enabled }) => enabled,
        (error: unknown) => {
          if (error instanceof HubError && error.code === 'not_found') return null
          throw error
        },
      )
    },
    async setKeyEnabled(keyId: string, enabled: boolean) {
      await keys.patch(everything, keyId, { enabled })
    },
    async audit(action: string, target: string) {
      const open = await audit.begin({
        ...{ action, target, principal: null, before: null, requestId: '', traceId: '', clientIp: '', userAgent: '' },
        actor: { kind: 'hub', id: 'risk', name: 'risk' },
      })
      return (code: string, after: unknown) => open.end({ status: code === '' ? 200 : 500, code, after })
    },
  }
}

/** What actions of incidents may do. */
export function createActionLevers(
  gateway: Pick<Gateway, 'findProvider' | 'setProviderEnabled'>,
  keys: Identity['keys'],
  collectors: Telemetry['collectors'],
  settings: () => ReloadRoom['settings'],
): ActionLevers {
  return {
    ...{ provider: gateway.findProvider, setProviderEnabled: gateway.setProviderEnabled },
    ...{ collectors: collectors.names, restartCollector: collectors.restart },
    settings: () => settings().list(),
    rollSettingsBackTo: (id) => settings().rollBackTo(id),
    key: (scope, id) =>
      keys.get(scope, id).catch((error: unknown) => {
        if (error instanceof HubError && error.code === 'not_found') return null
        throw error
      }),
    async changeKey(scope, id, change) {
      await keys.patch(scope, id, change)
    },
  }
}

/** A row of a foreign gateway has no tenant of ours, and says of a failure only that it was one. */
export function riskRow(row: SourceRow, source: string): RiskRow {
  const outcome = row.status < 400 ? 'success' : 'failure'
  return { ...row, id: String(row.id), source, tenantId: '', provider: '', outcome }
}
