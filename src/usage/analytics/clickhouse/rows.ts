import { logColumns, type RequestLogRow } from '../../rows.ts'
import { agentOf } from '../fold.ts'
import { quarterMs } from '../schema.ts'
import { bucketOf } from '../sketch.ts'

/** A request as it is copied: without its logs of attempts and routes, which are read one request at a time. */
export type CopiedRequest = Omit<RequestLogRow, 'attempt_log' | 'route_log'>

export const requestColumns = logColumns.filter(
  (name): name is keyof CopiedRequest => name !== 'attempt_log' && name !== 'route_log',
)

/** What each request is given beside its columns, worked out as it is for sums: so both come to the same. */
export const addedColumns = ['slot', 'agent_named', 'tag_list', 'latency_bucket', 'first_token_bucket'] as const

/** The values of a request in the order of `requestColumns` and `addedColumns`. */
export function valuesOfRequest(row: CopiedRequest): unknown[] {
  const tags = row.tags === '' ? [] : [...new Set(JSON.parse(row.tags) as string[])]
  return [
    ...requestColumns.map((name) => row[name]),
    row.started_at - (row.started_at % quarterMs),
    row.agent === '' ? agentOf(tags) : row.agent,
    // Requests without a tag are those of the tag ''.
    tags.length === 0 ? [''] : tags,
    bucketOf(row.latency_ms),
    row.first_token_ms === null ? 0 : bucketOf(row.first_token_ms),
  ]
}
