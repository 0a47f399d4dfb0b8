import type { Dump, Fill } from './contract.ts'
import { compareKeys, type Row, type Shape, writeRow } from './shape.ts'

/** What it took to make a table what it is in the other store. */
export type Brought = { rows: number; checksum: string; added: number; removed: number; changed: number }

export type BringParts = {
  from: Dump
  /** The store that `fill` writes to, as it was when the table was begun. */
  to: Dump
  fill: Fill
  /** Of the rows of `from`, each as text; see `writeRow`. */
  createSum(): { add(row: string): void; text(): string }
  /** Called after each batch; throws where it shall end. */
  onBatch(rows: number): void
}

const batchRows = 500

/**
 * Makes a table of one store what it is in another: both are walked in the order of their keys, and only rows that differ
 * are written. A few hundred rows are in memory, however long the tables are.
 */
export async function bringTable(shape: Shape, parts: BringParts): Promise<Brought> {
  try {
    return await walk(shape, parts)
  } catch (error) {
    if (!isTaken(error)) throw error
    // A value that must be unique has moved from one row to another: all of the table is written again.
    await parts.fill.clear(shape)
    return await refill(shape, parts)
  }
}

async function walk(shape: Shape, parts: BringParts): Promise<Brought> {
  const { from, to, fill, onBatch } = parts
  const theirs = createReader(to.rows(shape, 'bytes'))
  if ((await theirs.peek()) === null) return refill(shape, parts)
  if (shape.keys === 0) {
    await theirs.close()
    await fill.clear(shape)
    return refill(shape, parts)
  }
  const told = { rows: 0, added: 0, removed: 0, changed: 0 }
  const sum = parts.createSum()
  let gone: Row[] = []
  let fresh: Row[] = []
  const write = async (isLast = false) => {
    if (!isLast && gone.length + fresh.length < batchRows) return
    await fill.remove(shape, gone)
    await fill.add(shape, fresh)
    gone = []
    fresh = []
  }
  const drop = async (row: Row) => {
    await theirs.next()
    told.removed++
    gone.push(row)
    await write()
  }
  try {
    for await (const batch of from.rows(shape, 'bytes')) {
      for (const row of batch) {
        const text = writeRow(row)
        sum.add(text)
        told.rows++
        let other = await theirs.peek()
        while (other !== null && compareKeys(other, row, shape.keys) < 0) {
          await drop(other)
          other = await theirs.peek()
        }
        if (other !== null && compareKeys(other, row, shape.keys) === 0) {
          await theirs.next()
          if (writeRow(other) === text) continue
          told.changed++
          gone.push(other)
        } else told.added++
        fresh.push(row)
        await write()
      }
      onBatch(batch.length)
    }
    for (let other = await theirs.peek(); other !== null; other = await theirs.peek()) await drop(other)
    await write(true)
    return { ...told, checksum: sum.text() }
  } finally {
    await theirs.close()
  }
}

/** Into a table that is empty; the order is the engine's own, which costs it nothing. */
async function refill(shape: Shape, { from, fill, createSum, onBatch }: BringParts): Promise<Brought> {
  const sum = createSum()
  let rows = 0
  for await (const batch of from.rows(shape)) {
    for (const row of batch) sum.add(writeRow(row))
    await fill.add(shape, batch)
    rows += batch.length
    onBatch(batch.length)
  }
  return { rows, checksum: sum.text(), added: rows, removed: 0, changed: 0 }
}

function createReader(batches: AsyncIterable<readonly Row[]>) {
  const iterator = batches[Symbol.asyncIterator]()
  let batch: readonly Row[] = []
  let at = 0
  async function peek(): Promise<Row | null> {
    while (at >= batch.length) {
      const { done, value } = await iterator.next()
      if (done) return null
      batch = value
      at = 0
    }
    return batch[at]!
  }
  return {
    peek,
    async next() {
      await peek()
      at++
    },
    async close() {
      await iterator.return?.()
    },
  }
}

function isTaken(error: unknown): boolean {
  return /^(23505|SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY))$/.test(String((error as { code?: unknown }).code))
}
