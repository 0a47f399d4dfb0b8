import type { Telemetry } from '../../telemetry/index.ts'

/** Rows of an expression; throws QueryError, or an Error for what is no rule's expression. */
export async function askTelemetry(
  telemetry: Pick<Telemetry, 'query'>,
  expression: string,
  at: number,
): Promise<{ labels: Readonly<Record<string, string>>; value: number }[]> {
  const result = await telemetry.query(expression, at)
  if (result.type === 'vector') return result.series
  if (result.type === 'scalar') return [{ labels: {}, value: result.value }]
  throw new Error('rule result is not a vector or scalar')
}
