/**
 * A whole store, read as it was at one moment and put into another one, of either engine. Backups, restores and moves
 * between engines are made of it; it knows no table.
 */
export { type Beside, besideOf } from './beside.ts'
export { type Brought, bringTable } from './bring.ts'
export type { Dump, Fill, StoreAddress } from './contract.ts'
export { openDump } from './dump.ts'
export { openFill } from './fill.ts'
export { type Row, readRow, type Shape, type Value, writeRow } from './shape.ts'
