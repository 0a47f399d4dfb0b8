import type { Clock } from '../kernel/clock.ts'
import { HubError } from '../kernel/errors.ts'
import type { Announcements } from '../kernel/events.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import type { Alert, PostedAlert } from './alert.ts'
import { createDirect } from './direct.ts'
import { readPosted } from './pipeline/posts.ts'

type Said = {
  labels: Record<string, string>
  en: string
  zh: string
  isOver: boolean
  tenantId?: string
  /** Names of checks this one depends on that are down. */
  dependsOn?: string
  /** Of the call that showed it. */
  traceId?: string
  /** How long it holds unless it is announced again: for what has no end of its own. */
  holdsMs?: number
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** A breaker tries again after its time; what comes of it may be told late. */
const breakerGraceMs = hourMs

/** How long what a check of the hub found holds, unless it is found again. */
const standingMs = 5 * 60_000
/** Announcements that wait for the store; the oldest go first. */
const mostHeld = 2000
/** Short of that it is a hiccup, and the pipeline tells in its own way. */
const directAfterMs = 5000
const standingEveryMs = 30_000
/** Checks of the hub's own without which it does not do what it is for. */
const vital: ReadonlySet<string> = new Set(['database', 'ledger'])

/**
 * What rooms announce, as alerts: one reader for each announcement. Labels say what it is and never how it stands, so that
 * the end of a thing is known as the end of that thing.
 */
const readers: { [N in keyof Announcements]?: (news: Announcements[N]) => Said | null } = {
  'check.changed': ({ check, to, message, configured }) => {
    const isDown = to === 'down' || to === 'failed'
    const isOver = to === 'up' || to === 'ok' || to === 'maintenance'
    if (!isDown && !isOver && to !== 'degraded') return null
    return {
      labels: {
        ...{ alertname: 'CheckDown', source: 'checks' },
        severity: configured === undefined && vital.has(check) ? 'critical' : severityOfLevel(configured?.level),
        // The configured check of one of the hub's own is called like that: what is the same is hidden behind its own.
        ...(configured === undefined ? { check: `hub: ${check}` } : { check, check_id: configured.id }),
      },
      en: `The check ${check} is ${to}: ${message}`,
      zh: `检查 ${check} 状态为 ${to}：${message}`,
      ...{ isOver, tenantId: configured?.tenantId ?? '', dependsOn: configured?.suppressedBy ?? '' },
      // Said again while it holds, so that one whose end nobody heard, or whose node died, does not stay for ever.
      ...(configured === undefined ? { holdsMs: standingMs } : {}),
    }
  },
  'check.doubted': ({ isDoubting }) => ({
    labels: { alertname: 'HubNetworkDoubted', severity: 'critical', source: 'checks' },
    en: 'No host answers checks: the hub doubts its own network, and calls nothing down',
    zh: '所有检查目标均无应答：系统怀疑自身网络故障，暂不判定任何目标不可用',
    isOver: !isDoubting,
  }),
  'breaker.opened': ({ provider, keyId, model, reason, openMs, traceId }) => ({
    ...breaker({ provider, keyId, model }),
    en: `The provider ${provider} is left alone for a while with the model ${model}: ${reason}`,
    zh: `上游 ${provider} 的模型 ${model} 已熔断：${reason}`,
    ...{ isOver: false, holdsMs: openMs + breakerGraceMs, traceId },
  }),
  'breaker.closed': ({ provider, keyId, model }) => ({
    ...breaker({ provider, keyId, model }),
    en: `The provider ${provider} is asked again for the model ${model}`,
    zh: `上游 ${provider} 的模型 ${model} 已恢复`,
    isOver: true,
  }),
  'provider.key.died': ({ provider, providerId, keyId, name, reason, traceId }) => ({
    labels: {
      ...{ alertname: 'ProviderKeyDied', severity: 'high', source: 'gateway' },
      ...{ provider, provider_id: providerId, key_id: keyId, key_name: name },
    },
    en: `The provider ${provider} no longer accepts its key ${name} (${reason}): replace or revive it`,
    zh: `上游 ${provider} 不再接受密钥 ${name}（${reason}）：请更换或恢复该密钥`,
    ...{ isOver: false, holdsMs: dayMs, traceId },
  }),
  'budget.threshold': ({ budgetId, scope, scopeId, period, percent, endsAt, startsAt }) => ({
    labels: {
      ...{ alertname: 'BudgetThreshold', source: 'budgets', budget_id: budgetId, scope, scope_id: scopeId, period },
      severity: percent >= 100 ? 'high' : percent >= 95 ? 'warning' : 'info',
      percent: String(percent),
    },
    en: `The budget of ${scope} ${scopeId} for this ${period} is used to ${percent} %`,
    zh: `${scope} ${scopeId} 本期（${period}）预算已使用 ${percent}%`,
    // It holds until the purse is full again.
    ...{ isOver: false, holdsMs: Math.max(hourMs, endsAt - startsAt) },
  }),
  'service.instance.changed': ({ service, instanceId, from, to, reason }) => {
    const isDown = to === 'critical' || to === 'gone'
    if (!isDown && from !== 'critical' && from !== 'gone') return null
    return {
      labels: {
        ...{ alertname: 'ServiceInstanceDown', severity: 'warning', source: 'services' },
        ...{ service, instance: instanceId },
      },
      en: `The instance ${instanceId} of the service ${service} is ${to}: ${reason}`,
      zh: `服务 ${service} 的实例 ${instanceId} 状态为 ${to}：${reason}`,
      // One that is gone never says that it is back.
      ...{ isOver: !isDown, ...(to === 'gone' ? { holdsMs: hourMs } : {}) },
    }
  },
  'settings.rolled_back': ({ revisionId, node, reason, isOver }) => ({
    labels: { alertname: 'SettingsRolledBack', severity: 'high', source: 'settings', node },
    en: `The settings ${revisionId} of ${node} were taken back: ${reason}`,
    zh: `节点 ${node} 的配置 ${revisionId} 已自动回滚：${reason}`,
    ...{ isOver, holdsMs: dayMs },
  }),
  'service.protected': ({ isProtected, silent, total }) => ({
    labels: { alertname: 'ServicesProtected', severity: 'critical', source: 'services' },
    en: `${silent} of ${total} plugin instances fell silent together; they are kept: look at this hub's network`,
    zh: `${total} 个插件实例中有 ${silent} 个同时失联，已全部保留：请检查本系统网络`,
    isOver: !isProtected,
  }),
  'service.openapi.broke': ({ service, tenantId, version, breaks }) => ({
    labels: { alertname: 'ServiceContractBroken', severity: 'warning', source: 'services', service, version },
    en: `The new OpenAPI document of ${service} breaks callers: ${breaks.slice(0, 3).join('; ')}`,
    zh: `服务 ${service} 的新接口文档不兼容：${breaks.slice(0, 3).join('；')}`,
    ...{ isOver: false, tenantId, holdsMs: dayMs },
  }),
  'backup.failed': ({ kind, backupId, outcome, reason }) => ({
    labels: { alertname: 'BackupFailed', severity: 'high', source: 'backups', kind, outcome },
    en: `The ${kind} of backup ${backupId} ended ${outcome}: ${reason}`,
    zh: `备份任务（${kind}，${backupId}）结果为 ${outcome}：${reason}`,
    // The next one tells whether it is over.
    ...{ isOver: false, holdsMs: dayMs },
  }),
  // Nobody is woken by what could not be told once; that it stays so is for the rule MaintenanceLate.
  'maintenance.failed': ({ job, outcome, reason }) => (outcome === 'fail' ? maintenance(job, reason, false) : null),
  'maintenance.finished': ({ job, message }) => maintenance(job, message, true),
  'channel.changed': ({ channelId, name, type, tenantId, to, message }) => ({
    // One alert for both ways of not working: either ends with `ok`.
    labels: { alertname: 'ChannelBroken', severity: 'high', source: 'channels', channel: name, channel_id: channelId },
    en: `The channel ${name} (${type}) is ${to}: ${message}`,
    zh: `告警渠道 ${name}（${type}）状态为 ${to}：${message}`,
    ...{ isOver: to === 'ok', tenantId },
  }),
  'risk.found': (news) => risk(news, false),
  'risk.closed': (news) => risk(news, true),
}

function maintenance(job: string, told: string, isOver: boolean): Said {
  return {
    labels: { alertname: 'MaintenanceFailed', severity: 'high', source: 'maintenance', maintenance: job },
    en: `The maintenance ${job} ${isOver ? 'is in order' : 'failed'}: ${told}`,
    zh: `维护任务 ${job} ${isOver ? '已恢复正常' : '发现故障'}：${told}`,
    isOver,
  }
}

function breaker({ provider, keyId, model }: { provider: string; keyId: string; model: string }) {
  const about = { provider, key_id: keyId, model }
  return { labels: { alertname: 'BreakerOpen', severity: 'warning', source: 'gateway', ...about } }
}

function risk(
  { findingId, rule, severity, source, tenantId, entity }: Announcements['risk.found'],
  isOver: boolean,
): Said {
  const severities: Readonly<Record<string, string>> = { critical: 'critical', high: 'high', medium: 'warning' }
  return {
    labels: {
      ...{ alertname: 'RiskFound', severity: severities[severity] ?? 'info', source: 'risk', rule },
      ...{ finding_id: findingId, risk_source: source, entity },
    },
    en: `The rule ${rule} found ${entity} of ${source}: GET /api/risk/findings/${findingId}`,
    zh: `风控规则 ${rule} 命中 ${entity}（${source}）：GET /api/risk/findings/${findingId}`,
    // `*` is what belongs to no one tenant: the hub's.
    ...{ isOver, tenantId: tenantId === '*' ? '' : tenantId },
  }
}

function severityOfLevel(level: string | undefined): string {
  const known: Readonly<Record<string, string>> = { business: 'critical', container: 'warning' }
  return known[level ?? ''] ?? 'high'
}

/** What `said` means at `now`, as it is posted. */
function toPosted(said: Said, now: number): PostedAlert {
  const { labels, en, zh, isOver, tenantId = '', dependsOn = '', traceId = '', holdsMs } = said
  return {
    labels,
    annotations: {
      ...{ summary: en, summary_zh: zh },
      ...(dependsOn === '' ? {} : { depends_on: dependsOn }),
      ...(traceId === '' ? {} : { trace_id: traceId }),
    },
    ...{ startsAt: now, endsAt: isOver ? now : null, generatorUrl: '', tenantId },
    expiresAt: isOver || holdsMs === undefined ? null : now + holdsMs,
  }
}

/** An announcement as the alert it begins or ends; null where it says neither. */
export function toAlertOf<N extends keyof Announcements>(
  name: N,
  news: Announcements[N],
  now: number,
): PostedAlert | null {
  const said = readers[name]?.(news) ?? null
  return said === null ? null : toPosted(said, now)
}

/** A check of the hub and how it stands. */
export type StandingVerdict = { check: string; state: string; message: string; remedy: string }

export type Listening = {
  /** Says again what stands, and posts what could not be; call it again and again. */
  turn(): Promise<void>
  /** What fires and waits for the store. */
  waiting(): Alert[]
  stop(): void
}

/**
 * Posts what rooms announce. Every node that hears an announcement may post it: the same alert said twice is one. While the
 * store is away they wait in memory, in their order, and are told directly: that the store is away is what people must hear.
 */
export function alertsFromAnnouncements(parts: {
  bus: Bus
  clock: Clock
  log: Log
  post(alerts: readonly PostedAlert[]): Promise<void>
  /** Tells receivers without the pipeline. */
  tellDirectly(alert: Alert, hidden: readonly Alert[]): Promise<void>
  /** Which of these hides which, without the pipeline. */
  hidersOf(alerts: readonly Alert[]): ReadonlyMap<string, string>
  verdicts(): readonly StandingVerdict[]
}): Listening {
  const { bus, clock, log, post } = parts
  const direct = createDirect({ bus, clock, log, hidersOf: parts.hidersOf, tell: parts.tellDirectly })
  let held: { name: string; alert: PostedAlert; at: number; isTold: boolean }[] = []
  let isPosting = false
  let isAway = false
  let saidAt = Number.NEGATIVE_INFINITY

  function take(name: string, said: Said | null): void {
    if (said === null) return
    const alert = toPosted(said, clock.now())
    held.push({ name, alert, at: clock.monotonic(), isTold: false })
    // Whoever was told of the beginning hears of the end on the same way, whether the store is back or not.
    if (alert.endsAt !== null) direct.ended(alert)
    if (held.length > mostHeld) {
      held.shift()
      log.error('Too many announcements wait for the store: the oldest becomes no alert', { count: mostHeld })
    }
    void postHeld()
  }

  /** One at a time and in order: an end never comes before its beginning. */
  async function postHeld(): Promise<void> {
    if (isPosting) return
    isPosting = true
    try {
      for (let first = held[0]; first !== undefined; first = held[0]) {
        await post([first.isTold ? { ...first.alert, isLate: true } : first.alert]).catch((error: unknown) => {
          if (!(error instanceof HubError && error.code === 'invalid_request')) throw error
          // No later try makes it better.
          log.error(`The announcement ${first!.name} could not become an alert`, { error })
        })
        held = held.filter((each) => each !== first)
        direct.recorded(first.alert)
      }
    } catch (error) {
      if (!isAway) log.warn('Announcements wait in memory until they can become alerts', { error })
      isAway = true
      return
    } finally {
      isPosting = false
    }
    if (isAway) log.info('Announcements became alerts')
    isAway = false
  }

  function sayAgain(): void {
    if (clock.monotonic() - saidAt < standingEveryMs) return
    saidAt = clock.monotonic()
    for (const { check, state, message, remedy } of parts.verdicts()) {
      if (state !== 'failed' && state !== 'degraded') continue
      if (held.some(({ alert }) => alert.labels.check === `hub: ${check}`)) continue
      const told = remedy === '' ? message : `${message} ${remedy}`
      take('check.changed', readers['check.changed']!({ check, from: state, to: state, message: told }))
    }
  }

  const listen = <N extends keyof Announcements>(name: N): (() => void) =>
    bus.on(name, (news) => take(name, readers[name]!(news)))
  const stops = (Object.keys(readers) as (keyof Announcements)[]).map((name) => listen(name))
  return {
    async turn() {
      sayAgain()
      void postHeld()
      // Once it has been away for long, nobody waits again for each.
      const isLong = held.some(({ at }) => clock.monotonic() - at >= directAfterMs)
      const due = held.filter(({ alert, isTold }) => isLong && alert.endsAt === null && !isTold)
      for (const each of due) each.isTold = true
      await direct.turn(due.map(({ alert }) => alert))
      // What was over before anybody was told of it.
      for (const each of due) {
        const end = held.slice(held.indexOf(each) + 1).find(({ alert }) => isEndOf(alert, each.alert))
        if (end !== undefined) direct.ended(end.alert)
      }
    },
    waiting: () =>
      held
        .filter(({ alert }, index) => {
          const isOver = held.slice(index + 1).some((later) => isEndOf(later.alert, alert))
          return alert.endsAt === null && !isOver
        })
        .flatMap(({ alert }) => {
          const read = readPosted(alert)
          return typeof read === 'string' ? [] : [read]
        }),
    stop() {
      for (const stop of stops) stop()
    },
  }
}

function isEndOf(later: PostedAlert, begun: PostedAlert): boolean {
  const keyOf = ({ labels, tenantId }: PostedAlert) => JSON.stringify([tenantId, Object.entries(labels)])
  return later.endsAt !== null && keyOf(later) === keyOf(begun)
}
