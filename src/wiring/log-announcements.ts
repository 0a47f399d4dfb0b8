import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'

/** Of the last so many it is known what was said. */
const mostIncidents = 1000

/** What the log says of announcements; what rooms do about them is wired in `hub.ts`. */
export function logAnnouncements(bus: Bus, log: Log): void {
  bus.on('check.changed', ({ check, from, to, message, configured }) => {
    const isQuiet = to === 'ok' || to === 'up' || to === 'maintenance' || (configured?.suppressedBy ?? '') !== ''
    const durationMs = configured === undefined ? {} : { durationMs: configured.durationMs }
    log[isQuiet ? 'info' : 'warn'](`Health of ${check}: ${message}`, { check, from, to, ...durationMs })
  })
  bus.on('check.doubted', ({ isDoubting }) =>
    isDoubting
      ? log.error('No host answers checks: they are inconclusive; look at the network of this hub')
      : log.info('Hosts answer checks again: they are judged one by one'),
  )
  bus.on('breaker.opened', ({ provider, model, reason }) =>
    log.warn(`The provider ${provider} is left alone for a while with the model ${model}: ${reason}`),
  )
  bus.on('breaker.closed', ({ provider, model }) =>
    log.info(`The provider ${provider} is asked again for the model ${model}`),
  )
  bus.on('provider.key.died', ({ provider, name, reason }) =>
    log.error(`The provider ${provider} no longer accepts its key ${name} (${reason}): replace or revive it`),
  )
  bus.on('budget.threshold', ({ scope, scopeId, period, percent }) =>
    log.warn(`The budget of ${scope} ${scopeId} for this ${period} is used to ${percent} %`),
  )
  bus.on('service.instance.changed', ({ service, instanceId, from, to, reason }) =>
    log[to === 'critical' || to === 'gone' ? 'warn' : 'info'](
      `The instance ${instanceId} of the service ${service} is ${to}: ${reason}`,
      { from, to },
    ),
  )
  bus.on('service.protected', ({ isProtected, silent, total }) =>
    isProtected
      ? log.error(
          `${silent} of ${total} plugin instances fell silent together; they are kept: look at this hub's network`,
        )
      : log.info('Plugin instances are judged one by one again'),
  )
  bus.on('service.openapi.broke', ({ service, breaks }) =>
    log.warn(`The new OpenAPI document of ${service} breaks callers: ${breaks.slice(0, 3).join('; ')}`, {
      count: breaks.length,
    }),
  )
  bus.on('risk.found', ({ findingId, rule, severity, source, entity }) =>
    log[severity === 'low' ? 'info' : 'warn'](
      `The rule ${rule} found ${entity} of ${source}: GET /api/risk/findings/${findingId}`,
    ),
  )
  bus.on('channel.changed', ({ name, type, to, message }) =>
    log[to === 'ok' ? 'info' : 'error'](`The ${type} channel ${name} is ${to}: ${message}`),
  )
  // A line of its timeline changes it too, on every node: the log says how it stands, once.
  const standings = new Map<string, string>()
  bus.on('incident.changed', ({ id, state, severity, title }) => {
    const line = `The incident ${id} (${severity}) is ${state}: ${title}`
    if (standings.get(id) === line) return
    standings.delete(id)
    standings.set(id, line)
    if (standings.size > mostIncidents) standings.delete(standings.keys().next().value!)
    log[state === 'open' ? 'warn' : 'info'](line)
  })
  bus.on('settings.applied', ({ revisionId, node, by, applied, waiting }) =>
    log.info(
      `Settings of ${node} as ${by} wants them (${revisionId}): ${applied.join(', ') || 'none'} in use${waiting.length === 0 ? '' : `; ${waiting.join(', ')} after the next start`}`,
    ),
  )
  bus.on('settings.rolled_back', ({ revisionId, node, reason, isOver }) => {
    if (!isOver) log.error(`The settings ${revisionId} of ${node} were taken back: ${reason}`)
  })
  bus.on('alert.fired', ({ fingerprint, labels }) =>
    log[labels.severity === 'info' ? 'info' : 'warn'](`The alert ${labels.alertname} fires: ${fingerprint}`),
  )
  bus.on('alert.unrecorded', ({ fingerprint, labels, endsAt }) =>
    log.warn(
      `The store is away, and the alert ${labels.alertname} ${endsAt === null ? 'fires' : 'is over'}: ${fingerprint}`,
    ),
  )
  bus.on('alert.resolved', ({ fingerprint, labels }) =>
    log.info(`The alert ${labels.alertname} is over: ${fingerprint}`),
  )
  bus.on('risk.closed', ({ findingId, rule, by }) =>
    log.info(`The finding ${findingId} of the rule ${rule} is closed: ${by}`),
  )
  bus.on('backup.finished', ({ kind, backupId, bytes }) =>
    log.info(`A backup ended well: ${kind} ${backupId}${bytes > 0 ? `, ${bytes} bytes` : ''}`),
  )
  bus.on('backup.failed', ({ kind, backupId, outcome, reason }) =>
    log[outcome === 'failed' ? 'error' : 'warn'](`A backup ended ${outcome}: ${kind} ${backupId}: ${reason}`),
  )
  bus.on('maintenance.finished', ({ job, outcome, message }) =>
    log[outcome === 'warn' ? 'warn' : 'info'](`The maintenance ${job} ended ${outcome}: ${message}`),
  )
  bus.on('maintenance.failed', ({ job, outcome, reason }) =>
    log[outcome === 'fail' ? 'error' : 'warn'](`The maintenance ${job} ended ${outcome}: ${reason}`),
  )
}
