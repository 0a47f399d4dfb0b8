/** The part of pg-cursor that streaming needs; the package brings no types. https://node-postgres.com/apis/cursor */
declare module 'pg-cursor' {
  class Cursor<Row = unknown> {
    constructor(sql: string, parameters: unknown[])
    read(rowCount: number): Promise<Row[]>
    close(): Promise<void>
  }
  export = Cursor
}
