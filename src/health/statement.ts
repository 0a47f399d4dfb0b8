import { z } from 'zod'
import type { askMysql, askPostgres } from '../platform/dial/stores.ts'
import { defineProbe, failed, ok } from './probes/probe.ts'
import { account, host, port } from './shapes.ts'

/** The type of check of a server that speaks SQL: it answers a statement, with a value where one is expected. */
export function defineStatementProbe<Type extends string>(own: {
  type: Type
  describe: { en: string; zh: string }
  defaultPort: number
  ask: typeof askMysql | typeof askPostgres
}) {
  return defineProbe({
    type: own.type,
    describe: own.describe,
    parameters: z.strictObject({
      host,
      port: port.default(own.defaultPort),
      ...account,
      statement: z.string().min(1).max(2000).default('select 1').describe('Let its account only read.'),
      expect: z.string().max(500).optional().describe('The first value of the first row; any unless said.'),
    }),
    secrets: ['password'],
    target: ({ host }) => host,
    async run({ host, port, user, password, database, tls, statement, expect }, { way, timeoutMs }) {
      const value = await own.ask(way, { host, port, user, password, database, tls, timeoutMs }, statement)
      if (expect !== undefined && value !== expect)
        return failed('answer', 'The statement gives another value than is expected.', {})
      return ok('Answers the statement.')
    },
  })
}
