import type { Clock } from '../kernel/clock.ts'
import type { Announcements } from '../kernel/events.ts'
import type { Alert, PostedAlert } from './alert.ts'
import { fingerprintOf } from './fingerprint.ts'
import { toAlertOf } from './from-announcements.ts'

/** How things stand in the rooms that announce them, each as the announcement that would say so. */
export type AnnouncedStandings = {
  /** Every configured check that is asked. */
  checks(): Promise<readonly Announcements['check.changed'][]>
  /** Every instance of a plugin service; of one that is well, as if it had just recovered. */
  instances(): readonly Announcements['service.instance.changed'][]
  /** Every finding that is open; null where there are more than anybody lists. */
  findings(): Promise<readonly Announcements['risk.found'][] | null>
}

/** What is in no list any more is over after so long: of an instance that was taken away nobody says more. */
const forgottenMs = 3_600_000

/**
 * Compares alerts with what announced them, because an announcement is lost when its process dies: what is down without an
 * alert gets one, an alert whose cause is over or gone ends. Only what is found twice running is believed: in between, an
 * announcement may have been on its way. Call `turn` again and again, on one node.
 */
export function createAnnouncedReconciler(parts: {
  standings: AnnouncedStandings
  /** How every channel stands. */
  channels(): Promise<readonly Announcements['channel.changed'][]>
  active(): Promise<readonly Alert[]>
  post(alerts: readonly PostedAlert[]): Promise<void>
  clock: Clock
}) {
  const { standings, active, post, clock } = parts
  let suspects = new Set<string>()

  return {
    async turn(): Promise<void> {
      const now = clock.now()
      const [firing, checks, channels, findings] = await Promise.all([
        ...([active(), standings.checks(), parts.channels(), standings.findings()] as const),
      ])
      const found = new Map<string, PostedAlert>()
      const compare = (alerts: readonly PostedAlert[], isOurs: (alert: Alert) => boolean, restMs: number) => {
        const ours = new Map(firing.filter(isOurs).map((alert) => [alert.fingerprint, alert]))
        const known = new Set<string>()
        for (const alert of alerts) {
          const print = printOf(alert)
          known.add(print)
          if (alert.endsAt === null && !ours.has(print)) found.set(`begin ${print}`, alert)
          const fires = ours.get(print)
          if (alert.endsAt !== null && fires !== undefined) found.set(`end ${print}`, endOf(fires, now))
        }
        for (const [print, alert] of ours) {
          if (!known.has(print) && now - alert.startsAt >= restMs) found.set(`end ${print}`, endOf(alert, now))
        }
      }
      // What a check has come to may be neither: then its alert stays as it is.
      const isAsked = new Set(checks.map(({ configured }) => configured!.id))
      const isUndecided = new Set<string>()
      const told = checks.flatMap((news) => {
        const alert = toAlertOf('check.changed', news, now)
        if (alert === null || news.to === '') isUndecided.add(news.configured!.id)
        return alert === null || news.to === '' ? [] : [alert]
      })
      const isOfCheck = ({ labels }: Alert) =>
        labels.alertname === 'CheckDown' &&
        labels.source === 'checks' &&
        labels.check_id !== undefined &&
        !(isAsked.has(labels.check_id) && isUndecided.has(labels.check_id))
      compare(told, isOfCheck, 0)
      compare(
        standings.instances().flatMap((news) => toAlertOf('service.instance.changed', news, now) ?? []),
        ({ labels }) => labels.alertname === 'ServiceInstanceDown' && labels.source === 'services',
        forgottenMs,
      )
      compare(
        channels.flatMap((news) => toAlertOf('channel.changed', news, now) ?? []),
        ({ labels }) => labels.alertname === 'ChannelBroken' && labels.source === 'channels',
        0,
      )
      if (findings !== null) {
        compare(
          findings.flatMap((news) => toAlertOf('risk.found', news, now) ?? []),
          ({ labels }) => labels.alertname === 'RiskFound' && labels.source === 'risk',
          0,
        )
      }
      const certain = [...found].filter(([key]) => suspects.has(key)).map(([, alert]) => alert)
      if (certain.length > 0) await post(certain)
      suspects = new Set(found.keys())
    },
  }
}

function endOf({ labels, annotations, startsAt, generatorUrl, tenantId }: Alert, now: number): PostedAlert {
  return { labels, annotations, startsAt, generatorUrl, tenantId, endsAt: now, expiresAt: null }
}

/** As the pipeline writes it: without empty labels, and with its tenant. */
function printOf({ labels, tenantId }: PostedAlert): string {
  const kept = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
  return fingerprintOf(tenantId === '' ? kept : { ...kept, tenant_id: tenantId })
}
