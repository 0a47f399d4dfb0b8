import { askPostgres } from '../../platform/dial/stores.ts'
import { defineStatementProbe } from '../statement.ts'

export const postgresProbe = defineStatementProbe({
  type: 'postgres',
  describe: { en: 'PostgreSQL answers a statement.', zh: 'PostgreSQL 能够执行语句。' },
  defaultPort: 5432,
  ask: askPostgres,
})
