/**
 * chDB, which is ClickHouse's engine, behind as much of ClickHouse's HTTP interface as the hub uses
 * (https://clickhouse.com/docs/interfaces/http). Prints its address, and ends with who started it.
 */
import { createServer, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

type Session = { query(statement: string, format?: string): string }

const [folder = ''] = process.argv.slice(2)
const { Session } = createRequire(join(folder, 'package.json'))('chdb') as { Session: new () => Session }
const session = new Session()
// As odd as a password may be.
const [user, password] = ['hub', "p'ss%w\\rd"]
const notSettings = new Set<string>([
  ...(['query', 'default_format', 'wait_end_of_query', 'readonly', 'max_execution_time'] as const),
])
let lastSettings = ''

function run(statement: string, params: URLSearchParams, database: string): string {
  session.query(`use "${database}"`)
  const settings = [...params]
    .flatMap(([name, value]) => (notSettings.has(name) ? [] : [`${name} = '${value}'`]))
    .join()
  // They stay with the session: the hub sends the same ones with every statement.
  if (settings !== '' && settings !== lastSettings) session.query(`set ${settings}`)
  lastSettings = settings
  if (params.get('readonly') === '2' && !/^\s*(select|with)\b/i.test(statement)) {
    throw new Error('Code: 164. Cannot execute query in readonly mode')
  }
  return session.query(statement, params.get('default_format') ?? 'TabSeparated')
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'x-clickhouse-exception-code': code })
  response.end(`Code: ${code}. DB::Exception: ${message}`)
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const params = new URL(request.url ?? '/', 'http://localhost').searchParams
    const of = (name: string) => String(request.headers[`x-clickhouse-${name}`])
    if (of('user') !== user || of('key') !== password) return refuse(response, 403, '516', 'Authentication failed')
    const body = Buffer.concat(chunks).toString()
    const query = params.get('query')
    try {
      const answer = run(query === null ? body : `${query}\n${body}`, params, of('database'))
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(answer)
    } catch (error) {
      const { message } = error as Error
      refuse(response, 500, /Code: (\d+)/.exec(message)?.[1] ?? '1000', message)
    }
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const who = `${user}:${encodeURIComponent(password).replaceAll("'", '%27')}`
  console.log(
    `${session.query('select version()', 'TabSeparated').trim()} clickhouse://${who}@127.0.0.1:${address.port}`,
  )
})
process.stdin.on('end', () => process.exit(0)).resume()
