import { z } from 'zod'
import { askPostgres } from '../../platform/dial/stores.ts'
import { account, host, port } from '../shapes.ts'
import { defineProbe, failed, ok } from './probe.ts'

export const postgresProbe = defineProbe({
  type: 'postgres',
  describe: { en: 'PostgreSQL answers a statement.', zh: 'PostgreSQL 能够执行语句。' },
  parameters: z.strictObject({
    host,
    port: port.default(5432),
    ...account,
    statement: z.string().min(1).max(2000).default('select 1').describe('Let its account only read.'),
    expect: z.string().max(500).optional().describe('The first value of the first row; any unless said.'),
  }),
  secrets: ['password'],
  target: ({ host }) => host,
  async run({ host, port, user, password, database, tls, statement, expect }, { way, timeoutMs }) {
    const value = await askPostgres(way, { host, port, user, password, database, tls, timeoutMs }, statement)
    if (expect !== undefined && value !== expect)
      return failed('answer', 'The statement gives another value than is expected.', {})
    return ok('Answers the statement.')
  },
})
