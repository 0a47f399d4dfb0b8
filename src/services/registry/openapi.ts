import { createHash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import type { Bus } from '../../platform/bus/bus.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import type { Log } from '../../platform/log.ts'
import type { ServicesStore } from '../store.ts'
import type { Catalogue } from './catalogue.ts'
import { findBreaks } from './openapi-breaks.ts'
import { originOf, type ServiceRecord } from './records.ts'

/** What plugins say of themselves in OpenAPI: fetched after registration, kept, compared with what it was. */
export type PluginDocuments = {
  /** Fetches the document of a service in the background, from this instance; a failure becomes a warning of the service. */
  follow(service: string, instanceId: string): void
  /** The document as the plugin wrote it; `not_found` when there is none. */
  get(record: ServiceRecord): Promise<{ document: string; version: string; fetchedAt: number }>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

const timeoutMs = 10_000
/** Fetches at the same time; a fleet that registers together waits in line. */
const concurrency = 4

export function createPluginDocuments(parts: {
  store: ServicesStore
  catalogue: Catalogue
  upstreams: Pick<Upstreams, 'get'>
  bus: Bus
  clock: Clock
  log: Log
  maxBytes: number
}): PluginDocuments {
  const { store, catalogue, upstreams, bus, clock, log, maxBytes } = parts
  const waiting = new Map<string, string>()
  const running = new Set<string>()
  const workers = new Set<Promise<void>>()

  async function work(): Promise<void> {
    for (;;) {
      // One service is never fetched twice at once: its comparison must see the one before.
      const next = [...waiting].find(([service]) => !running.has(service))
      if (next === undefined) return
      const [service, instanceId] = next
      waiting.delete(service)
      running.add(service)
      await fetchOne(service, instanceId)
        .catch((error) => log.warn(`The OpenAPI document of ${service} could not be stored`, { error }))
        .finally(() => running.delete(service))
    }
  }

  async function fetchOne(service: string, instanceId: string): Promise<void> {
    const record = catalogue.find(service)
    const instance = record?.instances.find(({ row }) => row.id === instanceId)
    if (record === undefined || instance === undefined || record.row.openapi_path === '') return
    const before = await store.findOpenapi(record.row.id)
    const fetched = await read(originOf(instance.row) + record.row.openapi_path)
    const now = clock.now()
    const row = {
      ...{
        service_id: record.row.id,
        document: '',
        digest: '',
        version: '',
        breaks: '[]',
        failure: '',
        fetched_at: now,
      },
      ...before,
    }
    if ('failure' in fetched) {
      await save({ ...row, failure: fetched.failure })
      return
    }
    const digest = createHash('sha256').update(fetched.text).digest('base64url')
    if (before?.digest === digest && before.failure === '') return
    const isSame = before?.digest === digest || row.document === ''
    const breaks = isSame
      ? (JSON.parse(row.breaks) as string[])
      : findBreaks(JSON.parse(row.document), fetched.document)
    const version = versionOf(fetched.document)
    await save({
      ...{ service_id: row.service_id, document: fetched.text, digest, version },
      ...{ breaks: JSON.stringify(breaks), failure: '', fetched_at: now },
    })
    if (isSame || breaks.length === 0) return
    bus.announce('service.openapi.broke', { service, tenantId: record.row.tenant_id, version, breaks })
  }

  async function save(row: Parameters<ServicesStore['saveOpenapi']>[0]): Promise<void> {
    await store.saveOpenapi(row)
    await catalogue.apply()
  }

  async function read(url: string): Promise<{ text: string; document: object } | { failure: string }> {
    try {
      const { status, body } = await upstreams.get(url, {
        timeoutMs,
        maxBytes,
        headers: { accept: 'application/json' },
      })
      if (status !== 200) return { failure: `its OpenAPI document answered ${status}; check "openapi" in its manifest` }
      const text = body.toString('utf8')
      const document: unknown = JSON.parse(text)
      const isOpenapi = typeof document === 'object' && document !== null && 'openapi' in document
      if (!isOpenapi) return { failure: 'its OpenAPI document has no member "openapi"; is it an OpenAPI 3 document?' }
      return { text, document }
    } catch (error) {
      const isJson = error instanceof SyntaxError
      return {
        failure: `its OpenAPI document ${isJson ? 'is not JSON' : `could not be read: ${(error as Error).message}`}`,
      }
    }
  }

  return {
    follow(service, instanceId) {
      waiting.set(service, instanceId)
      if (workers.size >= concurrency) return
      const worker = work().finally(() => workers.delete(worker))
      workers.add(worker)
    },
    async get({ row }) {
      const found = await store.findOpenapi(row.id)
      if (found === undefined || found.document === '') {
        const why = found?.failure || 'its manifest names none, or it was not fetched yet'
        throw fail('not_found', `there is no OpenAPI document of ${row.name}: ${why}`)
      }
      return { document: found.document, version: found.version, fetchedAt: found.fetched_at }
    },
    async idle() {
      while (workers.size > 0) await Promise.all(workers)
    },
  }
}

function versionOf(document: object): string {
  const { info } = document as { info?: { version?: unknown } }
  return typeof info?.version === 'string' ? info.version.slice(0, 64) : ''
}
