import { everything } from '../kernel/scope.ts'
import type { ServiceTokens } from '../kernel/service-tokens.ts'
import type { Keys } from './keys.ts'

/** Calls to models, and the registry's own routes. */
const serviceEndpoints: readonly string[] = ['/v1/*', '/v1beta/*', '/api/registry/*']

export function createServiceTokens({ keys }: { keys: Pick<Keys, 'create' | 'get' | 'delete'> }): ServiceTokens {
  return {
    async issue({ tenantId, service, allowedModels, createdBy }) {
      if (service === '') throw new Error('a service token needs the name of its service')
      const { key, text } = await keys.create({
        name: createdBy === '' ? `service ${service}` : `service ${service}, registered by ${createdBy}`,
        tenantId,
        userId: '',
        service,
        allowedModels,
        allowedEndpoints: [...serviceEndpoints],
      })
      return { keyId: key.id, text }
    },
    async revoke(keyId) {
      try {
        // Never somebody's key, whatever a row of the registry says.
        if ((await keys.get(everything, keyId)).service !== '') await keys.delete(everything, keyId)
      } catch (error) {
        if ((error as { code?: string }).code !== 'not_found') throw error
      }
    },
  }
}
