import { beforeEach, describe, expect, test } from 'vitest'
import type { Announcements } from '../kernel/events.ts'
import { alertPipelineMigration } from '../migrations/0028-alert-pipeline.ts'
import { engines } from '../platform/database/testing.ts'
import { toAlertOf } from './from-announcements.ts'
import { openRig, shortRoute } from './pipeline/testing.ts'
import { createAnnouncedReconciler } from './reconcile-announced.ts'

type CheckNews = Announcements['check.changed']
type InstanceNews = Announcements['service.instance.changed']
type ChannelNews = Announcements['channel.changed']
type Finding = Announcements['risk.found']

const check = (name: string, to: string, tenantId = ''): CheckNews => ({
  ...{ check: name, from: to, to, message: `${name} is ${to}` },
  configured: { id: `chk_${name}`, tenantId, level: 'service', reason: '', durationMs: 0, suppressedBy: '' },
})
const instance = (instanceId: string, to: string): InstanceNews => ({
  ...{ service: 'shop', instanceId, from: to === 'passing' ? 'critical' : 'passing', to, reason: 'silent' },
})

const channel = (channelId: string, to: ChannelNews['to']): ChannelNews => ({
  ...{ channelId, name: channelId, type: 'slack', tenantId: '', from: to, to, message: 'said 410' },
})
const finding = (findingId: string): Finding => ({
  ...{ findingId, rule: 'burst', severity: 'high', source: 'hub', tenantId: '*', entity: 'key_1' },
})

describe.each(engines())('announcements that were lost, on $name', ({ open }) => {
  let world: { checks: CheckNews[]; instances: InstanceNews[]; channels: ChannelNews[]; findings: Finding[] | null }
  let rig: ReturnType<typeof openRig>
  let reconciler: ReturnType<typeof createAnnouncedReconciler>
  const firing = async () =>
    (await rig.pipeline.active()).map(({ labels }) => labels.check ?? labels.instance ?? labels.alertname).sort()
  /** As the hub does it again and again. */
  async function turn(): Promise<void> {
    await rig.clock.leap(15_000)
    await reconciler.turn()
    await rig.turn()
  }
  /** It begins anew, with nothing in its memory. */
  function restart(): void {
    reconciler = createAnnouncedReconciler({
      ...{ active: rig.pipeline.active, post: rig.pipeline.post, clock: rig.clock },
      channels: async () => world.channels,
      standings: {
        ...{ checks: async () => world.checks, instances: () => world.instances },
        findings: async () => world.findings,
      },
    })
  }
  const hear = async (alert: ReturnType<typeof toAlertOf>) => {
    await rig.pipeline.post([alert!])
    await rig.turn()
  }

  beforeEach(async () => {
    world = { checks: [], instances: [], channels: [], findings: [] }
    rig = openRig((await open([alertPipelineMigration])).kysely, { route: shortRoute })
    restart()
  })

  test('what went down while the hub was dead is an alert soon after it begins, and told once', async () => {
    world.checks = [check('pg', 'down'), check('web', 'up'), check('new', 'pending'), check('theirs', 'down', 'ten_a')]
    world.instances = [instance('ins_1', 'critical'), instance('ins_2', 'passing')]
    await turn()
    expect(await firing()).toEqual([])
    await turn()
    expect(await firing()).toEqual(['ins_1', 'pg', 'theirs'])
    for (let i = 0; i < 5; i++) await turn()
    expect(rig.heard.filter(({ name }) => name === 'alert.fired')).toHaveLength(3)
    expect(rig.heard.find(({ news }) => news.labels.check === 'theirs')!.news).toMatchObject({ tenantId: 'ten_a' })
  })

  test('what recovered, was removed or switched off meanwhile ends; what nobody can say anything of stays', async () => {
    for (const name of ['back', 'removed', 'unsure']) {
      await hear(toAlertOf('check.changed', check(name, 'down'), rig.clock.now()))
    }
    await hear(toAlertOf('service.instance.changed', instance('ins_1', 'critical'), rig.clock.now()))
    await rig.fire({ alertname: 'CheckDown', source: 'checks', check: 'hub: database' })
    await rig.fire({ alertname: 'CheckDown', check: 'of another system', check_id: 'x' })
    world.checks = [check('back', 'up'), check('unsure', 'inconclusive')]
    restart()
    await turn()
    await turn()
    expect(await firing()).toEqual(['hub: database', 'ins_1', 'of another system', 'unsure'])
    // An instance that nobody knows any more is forgotten after an hour.
    for (let i = 0; i < 2; i++) {
      await rig.clock.leap(3_600_000)
      await turn()
    }
    expect(await firing()).toEqual(['hub: database', 'of another system', 'unsure'])
  })

  test('a channel that broke and a risk that was found while nobody heard are alerts, and end when they are over', async () => {
    const names = async () =>
      (await rig.pipeline.active()).map(({ labels }) => labels.channel_id ?? labels.finding_id).sort()
    world.channels = [channel('chn_1', 'broken'), channel('chn_2', 'ok'), channel('chn_3', 'unproven')]
    world.findings = [finding('fnd_1'), finding('fnd_2')]
    for (let i = 0; i < 5; i++) await turn()
    expect(await names()).toEqual(['chn_1', 'chn_3', 'fnd_1', 'fnd_2'])
    expect(rig.heard.filter(({ name }) => name === 'alert.fired')).toHaveLength(4)
    // Announced in time, it is the same alert.
    await hear(toAlertOf('channel.changed', channel('chn_1', 'broken'), rig.clock.now()))
    expect(rig.heard).toHaveLength(4)
    restart()
    // Mended, removed, closed; and more findings than anybody lists end nothing.
    world.channels = [channel('chn_1', 'ok')]
    world.findings = null
    for (let i = 0; i < 3; i++) await turn()
    expect(await names()).toEqual(['fnd_1', 'fnd_2'])
    world.findings = [finding('fnd_2')]
    for (let i = 0; i < 3; i++) await turn()
    expect(await names()).toEqual(['fnd_2'])
  })

  test('an announcement that is only late makes nothing: what is found once is not believed', async () => {
    world.checks = [check('pg', 'down')]
    await turn()
    world.checks = [check('pg', 'up')]
    await turn()
    await turn()
    expect(rig.heard).toEqual([])
  })
})
