import { Resolver } from 'node:dns/promises'
import { fail, HubError } from '../../kernel/errors.ts'
import type { Upstreams } from '../fetch.ts'
import { findSpot, placeOf, within } from './dial.ts'

export const recordTypes = ['A', 'AAAA', 'CNAME', 'MX', 'NS', 'TXT', 'SRV', 'CAA', 'PTR', 'SOA'] as const
export type RecordType = (typeof recordTypes)[number]

/**
 * What a name server says of a name, each record as one line in the notation of zone files. Asks `server` (host and
 * port), or those of this machine when it is null. Nothing found is [].
 */
export async function lookUpRecords(
  upstreams: Pick<Upstreams, 'resolve'>,
  question: { name: string; type: RecordType; server: { host: string; port: number } | null; timeoutMs: number },
): Promise<string[]> {
  const { name, type, server, timeoutMs } = question
  const target = { ...(server ?? { host: 'the name servers of this machine', port: 53 }), timeoutMs }
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 })
  if (server !== null) {
    const { address } = await findSpot(upstreams, target)
    resolver.setServers([placeOf({ host: address, port: server.port })])
  }
  try {
    const found: unknown = await within(resolver.resolve(name, type), target, () => resolver.cancel())
    return (Array.isArray(found) ? found : [found]).map(toLine)
  } catch (thrown) {
    const code = thrown instanceof HubError ? (thrown.cause as { code?: string } | undefined)?.code : undefined
    if (code === 'ENODATA' || code === 'ENOTFOUND') return []
    const where = server === null ? target.host : placeOf(target)
    if (code === 'ETIMEOUT') throw fail('upstream_timeout', `${where} did not answer within ${timeoutMs} ms.`)
    if (code === 'ESERVFAIL' || code === 'EREFUSED')
      throw fail('upstream_refused', `${where} answers ${code.slice(1)} for ${name}.`)
    throw thrown
  }
}

function toLine(record: unknown): string {
  if (typeof record === 'string') return record
  if (Array.isArray(record)) return record.join('')
  const fields = record as Record<string, string | number>
  if ('exchange' in fields) return `${fields.priority} ${fields.exchange}`
  if ('port' in fields) return `${fields.priority} ${fields.weight} ${fields.port} ${fields.name}`
  return Object.values(fields).join(' ')
}
