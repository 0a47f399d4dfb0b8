import type { Collector } from './collector.ts'

/** The embedded store: how big its file and its write-ahead log are, and how long writes wait for each other. */
export const sqlite: Collector = {
  name: 'sqlite',
  open({ metrics, sqlite: readStatistics }) {
    if (readStatistics === null) return []
    const bytes = metrics.readings(
      'gauge',
      'gatehouse_sqlite_bytes',
      'Bytes of the store: its file, its write-ahead log, and pages of the file that hold nothing.',
      ['part'],
    )
    const pages = metrics.readings('gauge', 'gatehouse_sqlite_pages', 'Pages of the file, all and free ones.', ['kind'])
    const writes = metrics.readings(
      'counter',
      'gatehouse_sqlite_writes_total',
      'Turns that transactions and single writes had.',
    )
    const waited = metrics.readings(
      'counter',
      'gatehouse_sqlite_write_wait_seconds_total',
      'Time that writes waited for writes before them.',
    )
    const waiting = metrics.readings('gauge', 'gatehouse_sqlite_writes_waiting', 'Writes that wait for their turn.')
    const busy = metrics.readings(
      'counter',
      'gatehouse_sqlite_busy_total',
      'Statements that failed because another process held the file too long.',
    )
    return [
      {
        target: '',
        when: 'interval',
        async read() {
          const found = await readStatistics()
          return [
            [bytes, found.fileBytes, { part: 'file' }],
            [bytes, found.walBytes, { part: 'wal' }],
            [bytes, found.freePages * found.pageBytes, { part: 'free' }],
            [pages, found.pages, { kind: 'all' }],
            [pages, found.freePages, { kind: 'free' }],
            [writes, found.writes],
            [waited, found.waitedMs / 1000],
            [waiting, found.waiting],
            [busy, found.busy],
          ]
        },
      },
    ]
  },
}
