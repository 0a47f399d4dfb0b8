import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export type Heard = { statement: string; query: URLSearchParams; headers: IncomingMessage['headers'] }

/** What a server says of a statement: rows of its answer, or whatever `say` does with the connection. */
export type Said = readonly Record<string, unknown>[] | ((response: ServerResponse) => void)

/** A server with ClickHouse's interface and no engine: it writes down what it hears and says what a test tells it to. */
export async function startRecordingServer(say: (heard: Heard) => Said) {
  const heard: Heard[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const query = new URL(request.url ?? '/', 'http://localhost').searchParams
      const body = Buffer.concat(chunks).toString()
      const given = query.get('query')
      const each = { statement: given === null ? body : `${given}\n${body}`, query, headers: request.headers }
      heard.push(each)
      const said = say(each)
      if (typeof said === 'function') return said(response)
      response.end(compactOf(said))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  onTestFinished(stop)
  const { port } = server.address() as AddressInfo
  return { heard, stop, url: `clickhouse://hub:p%27ss%25w%5Crd@127.0.0.1:${port}/reports` }
}

/** Rows in the format JSONCompact. */
export function compactOf(rows: readonly Record<string, unknown>[]): string {
  const names = Object.keys(rows[0] ?? {})
  const data = rows.map((row) => names.map((name) => row[name]))
  return JSON.stringify({ meta: names.map((name) => ({ name, type: 'String' })), data, rows: rows.length })
}
