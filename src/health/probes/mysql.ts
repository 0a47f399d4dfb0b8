import { askMysql } from '../../platform/dial/stores.ts'
import { defineStatementProbe } from '../statement.ts'

export const mysqlProbe = defineStatementProbe({
  type: 'mysql',
  describe: { en: 'MySQL or MariaDB answers a statement.', zh: 'MySQL 或 MariaDB 能够执行语句。' },
  defaultPort: 3306,
  ask: askMysql,
})
