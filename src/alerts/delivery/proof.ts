import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { createId } from '../../kernel/ids.ts'
import type { Alert, Notification } from '../alert.ts'
import type { Outcome } from '../channels/channel.ts'
import type { Deliver } from './deliver.ts'
import { kindOf, readParameters } from './records.ts'
import type { ConfiguredChannel, Severity } from './schema.ts'
import type { Standings } from './standings.ts'
import { languages } from './templates/index.ts'

/** A made-up notification that says that it is one. */
export function makeTest(
  { language, tenantId }: Pick<ConfiguredChannel, 'language' | 'tenantId'>,
  now: number,
  wish: { severity?: Severity; status?: 'firing' | 'resolved'; alerts?: number; groupKey?: string } = {},
): Notification {
  const { severity = 'info', status = 'firing', alerts = 1 } = wish
  const { title, text } = languages[language].test
  const id = createId('notification', now)
  const made = Array.from({ length: alerts }, (_, index): Alert => {
    const instance = alerts === 1 ? {} : { instance: `example-${index + 1}` }
    return {
      fingerprint: createHash('sha256').update(`${id} ${index}`).digest('hex').slice(0, 16),
      labels: { alertname: title, severity, ...instance },
      annotations: { summary: text },
      startsAt: now - 60_000,
      endsAt: status === 'resolved' ? now : null,
      ...{ generatorUrl: '', tenantId },
    }
  })
  return {
    ...{ id, receiver: 'test', groupKey: wish.groupKey ?? `test:${id}`, groupLabels: { alertname: title } },
    ...{ reason: 'test', status, alerts: made, truncated: 0, hidden: [] },
    ...{ traceId: randomBytes(16).toString('hex'), at: now },
  }
}

/** Sends a test, and ends what it began, so that no ticket and no page stays open. */
export async function testChannel(
  channel: ConfiguredChannel,
  { deliver, clock }: { deliver: Pick<Deliver, 'once'>; clock: Clock },
  parameters?: Record<string, unknown>,
): Promise<{ outcome: Outcome; latencyMs: number; templateError: string }> {
  const begun = makeTest(channel, clock.now())
  const options = parameters === undefined ? {} : { parameters }
  const result = await deliver.once(channel, begun, options)
  if (!result.outcome.isDelivered || !kindOf(channel.type).endsTests) return result
  const over = makeTest(channel, clock.now(), { status: 'resolved', groupKey: begun.groupKey })
  const end = await deliver.once(channel, over, options)
  return end.outcome.isDelivered ? result : { ...result, outcome: end.outcome }
}

/**
 * Every night each channel that has a sandbox sends one message there: a channel that nobody needed for months is known to
 * work, or known not to, before it is needed.
 */
export async function proveChannels(
  channels: readonly ConfiguredChannel[],
  own: { deliver: Pick<Deliver, 'once'>; standings: Standings; clock: Clock; hour: number },
  signal: AbortSignal,
): Promise<void> {
  const { standings, clock, hour } = own
  if (hour < 0) return
  const now = clock.now()
  const today = Math.floor(now / 86_400_000) * 86_400_000 + hour * 3_600_000
  const due = today <= now ? today : today - 86_400_000
  for (const channel of channels) {
    if (signal.aborted) return
    if (!channel.enabled || channel.sandbox === null || standings.of(channel.id).proofAt >= due) continue
    // A channel made since then proves itself the next night: whoever made it has a button for now.
    if (channel.createdAt >= due) continue
    const parameters = readParameters(kindOf(channel.type), { ...channel.parameters, ...channel.sandbox })
    const { outcome } = await testChannel(channel, own, parameters)
    standings.noteProof(channel, outcome)
  }
}
