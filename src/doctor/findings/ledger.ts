import { join } from 'node:path'
import { readTextIfPresent } from '../../platform/files.ts'
import { bad, defineFinding, ok, type Seen, skip, unknown, warn } from '../finding.ts'
import type { StoreAnswer, World } from '../world.ts'

const dayMs = 86_400_000

/** `use` with the store where it is there and has this program's shape; what stands in the way otherwise. */
export async function withTables(
  world: World,
  use: (opened: StoreAnswer & { kind: 'open' }) => Promise<Seen>,
): Promise<Seen> {
  const opened = await world.store()
  if (opened.kind === 'absent') return skip('there is no store yet')
  if (opened.kind === 'fault')
    return unknown('waits for the store', { en: 'We did not get that far.', zh: '尚未进行到这一步。' })
  const states = (await world.migrations()) ?? []
  if (states.some(({ appliedAt }) => appliedAt === null)) {
    return unknown('waits for migrations_pending', { en: 'The store lacks migrations.', zh: '数据库缺少迁移。' })
  }
  return use(opened)
}

export const auditBroken = defineFinding({
  id: 'audit_broken',
  area: 'ledger',
  severity: 'critical',
  run: (world) =>
    withTables(world, async ({ database }) => {
      const { isWhole, rows, told } = await world.verifyAudit(database)
      if (isWhole) return ok(`${rows} rows are as they were written`)
      return bad(
        `${rows} rows are whole, then ${told}`,
        {
          en: 'The audit log is not as it was written: rows were changed, removed or added past the hub, or the master key is another.',
          zh: '审计日志与写入时不一致：有记录被绕过本服务修改、删除或添加，或主密钥已变更。',
        },
        {
          en: 'Keep the store as it is; compare with a backup; gatehouse audit verify names the row.',
          zh: '请保留现场，与备份比对；gatehouse audit verify 会指出具体记录。',
        },
      )
    }),
})

export const ledgerRejects = defineFinding({
  id: 'ledger_rejects',
  area: 'ledger',
  severity: 'major',
  run({ settings }) {
    if (settings === null) return skip('the data folder is not known')
    const path = join(settings.data.dir, 'journal', 'rejects.jsonl')
    const rows = (readTextIfPresent(path) ?? '').split('\n').filter((line) => line !== '').length
    if (rows === 0) return ok('the store has taken every row')
    return warn(
      `${rows} rows in ${path}`,
      {
        en: `The store refused ${rows} rows of the ledger: these calls are in no report.`,
        zh: `数据库拒绝了 ${rows} 条账目：这些调用不在任何报表中。`,
      },
      {
        en: 'Read the reasons in the file; docs/runbook/LedgerRejected.md says how to enter them again.',
        zh: '请查看该文件中的原因，按 docs/runbook/LedgerRejected.md 重新入账。',
      },
    )
  },
})

export const ledgerDrift = defineFinding({
  id: 'ledger_drift',
  area: 'ledger',
  severity: 'critical',
  run: (world) =>
    withTables(world, async ({ database }) => {
      const { verdict, told } = await world.reconcile(database, world.clock.now() - dayMs)
      if (verdict === 'equal') return ok(told)
      if (verdict === 'inconclusive')
        return unknown(told, { en: 'Rows changed faster than they could be read.', zh: '账目变化过快，无法判定。' })
      return bad(
        told,
        {
          en: 'The rows of the ledger do not add up to the sums that reports and budgets are answered from.',
          zh: '账目明细与报表、预算所用的汇总不一致。',
        },
        {
          en: 'gatehouse usage reconcile shows each difference, and with --fix makes the sums anew from the rows; docs/runbook/LedgerDrift.md.',
          zh: '执行 gatehouse usage reconcile 查看差异，加 --fix 按明细重算汇总；参见 docs/runbook/LedgerDrift.md。',
        },
      )
    }),
})

export const priceMissing = defineFinding({
  id: 'price_missing',
  area: 'ledger',
  severity: 'minor',
  run: (world) =>
    withTables(world, async ({ store }) => {
      const found = await store.unpriced(world.clock.now() - 7 * dayMs)
      if (found.length === 0) return ok('every answered call of the last 7 days has a price')
      const names = found.map(({ model, provider, calls }) => `${model} at ${provider} (${calls} calls)`).join(', ')
      return warn(
        names,
        {
          en: 'Calls were answered for which no price is known: they cost nothing in reports and budgets.',
          zh: '部分调用没有价格：在报表与预算中按未知计。',
        },
        {
          en: 'POST /api/prices for these models, then gatehouse usage rerate.',
          zh: '请为这些模型 POST /api/prices，然后执行 gatehouse usage rerate。',
        },
      )
    }),
})
