import { bad, defineFinding, ok, skip, warn } from '../finding.ts'
import type { World } from '../world.ts'
import { withTables } from './ledger.ts'

const hourMs = 3_600_000
const off = skip('backups.enabled is false')

export const backupOld = defineFinding({
  id: 'backup_old',
  area: 'backups',
  severity: 'major',
  async run(world) {
    const { settings, clock } = world
    if (settings === null) return skip('the folder is not known')
    if (!settings.backups.enabled) return off
    return withTables(world, async ({ store }) => {
      const usable = (await world.listBackups()).filter(({ fault }) => fault === '')
      const newest = Math.max(0, ...usable.map(({ takenAt }) => takenAt))
      const allowedHours = 2 * settings.backups.full_every_hours
      const since = newest || ((await store.madeAt()) ?? clock.now())
      const hours = Math.floor((clock.now() - since) / hourMs)
      const evidence = newest === 0 ? `none, and the store is ${hours} h old` : `the newest is ${hours} h old`
      if (hours <= allowedHours) return ok(evidence)
      return bad(
        evidence,
        {
          en: `There is no usable backup of the last ${allowedHours} h.`,
          zh: `最近 ${allowedHours} 小时内没有可用的备份。`,
        },
        {
          en: 'gatehouse backup now says what is in the way; docs/runbook/backup_old.md.',
          zh: '执行 gatehouse backup now 查看原因；参见 docs/runbook/backup_old.md。',
        },
      )
    })
  },
})

export const backupUnusable = defineFinding({
  id: 'backup_unusable',
  area: 'backups',
  severity: 'major',
  async run({ settings, listBackups }) {
    if (settings === null) return skip('the folder is not known')
    const broken = (await listBackups()).filter(({ fault }) => fault !== '')
    if (broken.length === 0) return ok('no backup is known to be unusable')
    return warn(
      broken
        .map(({ id, fault }) => `${id}: ${fault}`)
        .slice(0, 5)
        .join('; '),
      { en: `${broken.length} backups cannot be used.`, zh: `有 ${broken.length} 份备份不可用。` },
      {
        en: 'Take a new one (gatehouse backup now), look at the disk, and remove the broken ones.',
        zh: '请重新备份（gatehouse backup now）、检查磁盘，并删除损坏的备份。',
      },
    )
  },
})

export const restoreUnfinished = defineFinding({
  id: 'restore_unfinished',
  area: 'backups',
  severity: 'major',
  async run({ settings, findUnfinishedRestore }) {
    if (settings === null) return skip('the data folder is not known')
    const found = await findUnfinishedRestore()
    if (found === null) return ok('no restore was cut off')
    const { id, at, store, told, clear } = found
    return warn(
      `${id}, ${new Date(at).toISOString()}: the store is ${store === 'restored' ? 'the one of the backup' : 'the one from before'}`,
      told,
      store === 'restored'
        ? {
            en: 'Look whether this is the store you want; gatehouse backup restore does it anew, --fix takes the note of it away.',
            zh: '请确认当前数据库是否符合预期；可重新执行 gatehouse backup restore，或用 --fix 清除该标记。',
          }
        : {
            en: `gatehouse backup restore ${id} --yes begins anew; --fix removes what it had built.`,
            zh: `执行 gatehouse backup restore ${id} --yes 可重新恢复；--fix 清除其半成品。`,
          },
      [
        {
          what: { en: `remove what the restore of ${id} has left beside the store`, zh: `清除恢复 ${id} 的遗留` },
          // The backup is where it was, and what was built from it is not whole.
          undo: null,
          apply: clear,
        },
      ],
    )
  },
})

export const drillOld = defineFinding({
  id: 'drill_old',
  area: 'backups',
  severity: 'minor',
  run: (world) => lookAtDrill(world),
})

async function lookAtDrill(world: World) {
  const { settings, clock } = world
  if (settings === null) return skip('the folder is not known')
  const { enabled, drill_every_days: everyDays } = settings.backups
  if (!enabled || everyDays === 0) return skip('drills are off')
  return withTables(world, async ({ store }) => {
    const last = (await store.lastRuns()).get('drill')
    const since = last ?? (await store.madeAt()) ?? clock.now()
    const days = Math.floor((clock.now() - since) / (24 * hourMs))
    const evidence = last === undefined ? `none, and the store is ${days} days old` : `the last passed ${days} days ago`
    if (days <= 2 * everyDays) return ok(evidence)
    return warn(
      evidence,
      { en: 'Nobody has proved lately that a backup can be restored.', zh: '近期没有验证过备份可以恢复。' },
      {
        en: 'gatehouse backup drill; docs/runbook/drill_old.md.',
        zh: '执行 gatehouse backup drill；参见 docs/runbook/drill_old.md。',
      },
    )
  })
}
