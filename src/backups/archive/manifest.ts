/** A piece of a table or a file, in one of the files of the chain. */
export type Piece = {
  /** Which of `archives`. */
  archive: number
  offset: number
  index: number
  /** Of the plain bytes, base64url SHA-256; pieces are found again by it. */
  hash: string
  rows: number
  /** Plain. */
  bytes: number
}

export type TableEntry = {
  table: string
  columns: string[]
  keys: number
  rows: number
  /** Over all rows, whatever their order: see `sum.ts`. */
  checksum: string
  pieces: Piece[]
}

export type FileEntry = { name: string; bytes: number; pieces: Piece[] }

/** What a backup holds, sealed at its end. */
export type Manifest = {
  /** Ids of the files that pieces lie in; the last is this one. */
  archives: string[]
  engine: string
  /** Names of the migrations applied. */
  migrations: string[]
  /** Id of a row of `backup_runs` that was written just before and must be in it; '' where there was no such table. */
  sentinel: string
  /** Epoch ms when the last byte was sealed. */
  finishedAt: number
  tables: TableEntry[]
  files: FileEntry[]
}

export type Contents = { tables: number; rows: number; bytes: number; ownPieces: number; pieces: number }

export function contentsOf({ tables, files, archives }: Manifest): Contents {
  const pieces = [...tables, ...files].flatMap((each) => each.pieces)
  return {
    tables: tables.length,
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    bytes: pieces.reduce((sum, { bytes }) => sum + bytes, 0),
    ownPieces: pieces.filter(({ archive }) => archive === archives.length - 1).length,
    pieces: pieces.length,
  }
}
