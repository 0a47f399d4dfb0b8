import type { Clock } from '../../../kernel/clock.ts'
import { fail } from '../../../kernel/errors.ts'
import type { Ledger } from '../../../usage/index.ts'
import type { LiveProvider, RoutingTable } from '../../models.ts'
import { asCount, asText, type JsonObject } from '../../protocols/json.ts'
import { askProvider, type Errand, readProviderLines } from './ask-provider.ts'
import { isOver, settleBatch } from './settle-batch.ts'
import type { Pin, PinKind, PinStore } from './store.ts'

export type PinnedSource = {
  pins: PinStore
  ledger: Ledger
  clock: Clock
  table(): RoutingTable
}

/** Who looks: a caller, who may leave, or the hub by itself. */
export type Looker = {
  errand(method: Errand['method'], path: string): Errand
  /** The name that the batch's key has, for its row. */
  keyName: string
}

/** Where it lives. @throws HubError `no_provider` when that provider or the key it was made with is switched off or gone. */
export function holderOf(pin: Pin, { doors, providers }: RoutingTable): LiveProvider {
  const provider =
    pin.provider_key_id === ''
      ? providers.find(({ id }) => id === pin.provider_id)
      : doors.find(({ id, keyId }) => id === pin.provider_id && keyId === pin.provider_key_id)
  if (provider) return provider
  throw fail('no_provider', `The provider that holds this ${pin.kind} is not served now.`, { retryAfterMs: 30_000 })
}

/** Asks the holder about it and remembers what it says. */
export async function refreshPin(
  pin: Pin,
  { pins, table }: Pick<PinnedSource, 'pins' | 'table'>,
  errand: Errand,
): Promise<JsonObject> {
  const wire = await askProvider(holderOf(pin, table()), errand)
  await pins.show(pin, JSON.stringify(wire))
  return wire
}

const mostLineBytes = 16 * 1024 * 1024

/**
 * The batch as it is now. One that is over is first entered into the ledger, and only then is what it made the caller's:
 * nobody reads an answer that nobody accounted for.
 */
export async function lookAtBatch(
  pin: Pin,
  own: PinnedSource,
  { errand, keyName }: Looker,
  verb?: 'cancel',
): Promise<JsonObject> {
  const path = `/batches/${encodeURIComponent(pin.id)}`
  const wire = await refreshPin(pin, own, verb ? errand('POST', `${path}/${verb}`) : errand('GET', path))
  if (pin.is_settled === 1 || !isOver(wire)) return wire
  const provider = holderOf(pin, own.table())
  const outputId = asText(wire.output_file_id)
  await settleBatch(wire, pin, keyName, provider, {
    ledger: own.ledger,
    clock: own.clock,
    readOutput: (onLine) =>
      readProviderLines(
        provider,
        errand('GET', `/files/${encodeURIComponent(outputId)}/content`),
        onLine,
        mostLineBytes,
      ),
  })
  for (const id of [outputId, asText(wire.error_file_id)]) {
    if (id === '') continue
    const file = await askProvider(provider, errand('GET', `/files/${encodeURIComponent(id)}`))
    const owner = { tenantId: pin.tenant_id, userId: pin.user_id, keyId: pin.key_id }
    await keepPin('file', file, provider, owner, own, { purpose: asText(file.purpose), model: '', provider_model: '' })
  }
  await own.pins.settle(pin)
  return wire
}

const dayMs = 86_400_000

/** Notes whose it is, and where it lives. */
export async function keepPin(
  kind: PinKind,
  wire: JsonObject,
  provider: LiveProvider,
  { tenantId, userId, keyId }: { tenantId: string; userId: string; keyId: string },
  { pins, clock }: Pick<PinnedSource, 'pins' | 'clock'>,
  facts: Pick<Pin, 'purpose' | 'model' | 'provider_model'>,
): Promise<void> {
  const expires = asCount(wire.expires_at)
  const now = clock.now()
  const pin: Pin = {
    kind,
    id: wire.id as string,
    provider_id: provider.id,
    provider_key_id: provider.keyId,
    tenant_id: tenantId,
    user_id: userId,
    key_id: keyId,
    ...facts,
    wire: JSON.stringify(wire),
    is_settled: 0,
    created_at: now,
    // A batch's time ends when it must be done: what it made is there for longer.
    expires_at: expires === null || kind === 'batch' ? null : expires * 1000,
  }
  await pins.keep(pin, now - 30 * dayMs)
}
