import { bad, defineFinding, ok, skip, warn } from '../finding.ts'
import { withTables } from './ledger.ts'

const dayMs = 86_400_000

export const webhookSigning = defineFinding({
  id: 'webhook_signing',
  area: 'services',
  severity: 'major',
  run: (world) =>
    withTables(world, async ({ store }) => {
      const last = await store.lastDeliveries(world.clock.now() - 7 * dayMs)
      if (last.length === 0) return skip('nobody was told of anything lately')
      const refused = last.filter(({ state, reason, message }) => state === 'failed' && isAboutSigning(reason, message))
      if (refused.length === 0) return ok(`${last.length} channels took our signature, or need none`)
      const names = refused.map(({ channel_name }) => channel_name).join(', ')
      return bad(
        refused.map(({ channel_name, message }) => `${channel_name}: ${message}`).join('; '),
        {
          en: `${names} does not accept our signature: the signing secret is another one, or our clock is wrong.`,
          zh: `${names} 拒绝了签名：签名密钥不符，或本机时钟不准。`,
        },
        {
          en: 'Enter the secret that the vendor shows (PATCH /api/channels/:id), try it (POST /api/channels/:id/test), and look at clock_skew: signatures are good for an hour at most, mostly for minutes.',
          zh: '请填写厂商给出的签名密钥（PATCH /api/channels/:id）并测试（POST /api/channels/:id/test）；同时检查 clock_skew：签名的有效期通常只有数分钟。',
        },
      )
    }),
})

function isAboutSigning(reason: string, message: string): boolean {
  return reason === 'credentials' && /\bsign|timestamp|签名/i.test(message)
}

export const maintenanceLate = defineFinding({
  id: 'maintenance_late',
  area: 'hub',
  severity: 'minor',
  run: (world) =>
    withTables(world, async ({ store }) => {
      if (world.settings?.maintenance.enabled !== true) return skip('maintenance.enabled is false')
      const [known, made] = [await store.lastMaintenance(), await store.madeAt()]
      const since = known ?? made ?? world.clock.now()
      const days = Math.floor((world.clock.now() - since) / dayMs)
      const evidence = known === null ? `none, and the store is ${days} days old` : `the last ended ${days} days ago`
      if (days < 3) return ok(evidence)
      return warn(
        evidence,
        { en: 'No job of maintenance came to a result for days.', zh: '多日没有任何维护任务得出结论。' },
        {
          en: 'Does a process with the role worker run at these hours? gatehouse maintenance list; docs/runbook/MaintenanceLate.md.',
          zh: '请确认该时段有 worker 角色的进程在运行；gatehouse maintenance list；参见 docs/runbook/MaintenanceLate.md。',
        },
      )
    }),
})
