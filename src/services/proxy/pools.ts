import type { InstancePool } from '../../platform/fetch.ts'

export type { InstancePool }

/** How the proxy gets connections to an instance; `origin` is `http://host:port`. */
export type OpenPool = (origin: string, connectTimeoutMs: number) => InstancePool
