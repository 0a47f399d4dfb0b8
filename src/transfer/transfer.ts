import type { Kysely } from 'kysely'
import type { Clock } from '../kernel/clock.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Secrets } from '../platform/secrets.ts'
import type { Format } from './document.ts'
import { readDocument, writeDocument } from './document.ts'
import { exportPlane } from './export.ts'
import { type ConflictMode, importPlane, type Told } from './import.ts'
import type { Shapes } from './kind.ts'
import { kinds } from './kinds.ts'
import { createOpener, createSealer, type SecretMode } from './seal.ts'
import { readSheets, writeSheets } from './sheets.ts'
import { createTransferStore } from './store.ts'

export type ExportWish = { format: Format; secrets: SecretMode; passphrase: string; only: readonly string[] | null }
export type ImportOptions = {
  onConflict: ConflictMode
  choices: Readonly<Record<string, ConflictMode>>
  passphrase: string
  isDry: boolean
}

export type Transfer = {
  export(wish: ExportWish): Promise<string>
  /** All of it or nothing; tells what it did, or would do. */
  import(document: string, options: ImportOptions): Promise<Told[]>
  exportSheets(): Promise<Buffer>
  importSheets(workbook: Buffer, options: ImportOptions): Promise<Told[]>
  /** How far the import is that runs on this node, of several the youngest; null while none does. */
  progress(): { done: number; total: number } | null
}

export type TransferParts = {
  // biome-ignore lint/suspicious/noExplicitAny: it names tables of every room by what kinds.ts says
  db: Kysely<any>
  secrets: Secrets
  bus: Pick<Bus, 'announce'>
  clock: Clock
  version: string
  /** What rooms say of single members. */
  shapes: Shapes
  env: Readonly<Record<string, string | undefined>>
}

export function openTransfer(parts: TransferParts): Transfer {
  const { secrets, bus, clock, version, shapes, env } = parts
  const store = createTransferStore(parts.db)
  const running = new Set<{ done: number; total: number }>()

  async function readIn(
    found: { items: Parameters<typeof importPlane>[1]['items']; placeOf?(kind: string, index: number): string },
    { passphrase, ...options }: ImportOptions,
  ): Promise<Told[]> {
    const openSecret = createOpener(passphrase, secrets, env)
    const standing = { done: 0, total: 0 }
    const onProgress = (done: number, total: number) => Object.assign(standing, { done, total })
    running.add(standing)
    const plane = { store, secrets, shapes, clock, openSecret, onProgress }
    const told = await importPlane(plane, { ...found, ...options }).finally(() => running.delete(standing))
    if (options.isDry) return told
    const changed = told.filter(({ action }) => action !== 'skipped' && action !== 'unchanged').map(({ kind }) => kind)
    const announced = new Set(kinds.filter(({ name }) => changed.includes(name)).map((kind) => kind.announced))
    for (const kind of announced) if (kind !== null) bus.announce('config.changed', { kind })
    return told
  }

  return {
    async export({ format, secrets: mode, passphrase, only }) {
      const seal = createSealer(mode, passphrase, secrets)
      return writeDocument(await exportPlane({ store, secrets, clock, version }, { only, seal }), format)
    },
    import: async (document, options) => readIn({ items: readDocument(document) }, options),
    async exportSheets() {
      const only = ['providers', 'models', 'model_providers']
      const seal = createSealer('reference', '', secrets)
      return writeSheets((await exportPlane({ store, secrets, clock, version }, { only, seal })).items)
    },
    importSheets: async (workbook, options) => readIn(await readSheets(workbook), options),
    progress: () => [...running].at(-1) ?? null,
  }
}
