import { createHash } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { everything } from '../../kernel/scope.ts'
import type { Log } from '../../platform/log.ts'
import type { Metrics } from '../../platform/metrics.ts'
import type { Incidents } from '../incidents.ts'
import type { Turn } from '../life.ts'
import { hubActor, type Incident, type Page } from '../schema.ts'
import type { IncidentsStore } from '../store.ts'
import type { AckLinks } from './links.ts'
import { sayHidden } from './messages.ts'

/**
 * Sends one message by all channels that are named; tells whether any of them took it, or that there is none of them and
 * nobody stands in. The same key is one message.
 */
export type Tell = (message: {
  channels: string[]
  title: string
  text: string
  url?: string
  severity: 'critical' | 'high' | 'warning' | 'info'
  traceId: string
  dedupeKey: string
  /** Asked for again after a kill, what arrived is not sent again. */
  id: string
  /** Fingerprints of the alerts it tells of. */
  about?: readonly string[]
  /** Ends the tries: what was not delivered by then is `failed`. */
  signal?: AbortSignal
}) => Promise<'delivered' | 'failed' | 'nobody'>

/** `stopped`: the hub stops; it is still to be sent, as if it had not been tried. */
export type Handed = { result: 'delivered' | 'failed' | 'nobody' | 'later' | 'stopped'; why: string }
type More = { hidden: readonly string[]; about: readonly string[]; signal?: AbortSignal | undefined }

const mostTries = 8
const atOnce = 10
const mostHidden = 100
const severityOf = { P0: 'critical', P1: 'critical', P2: 'high', P3: 'warning' } as const

/** Sends what is to be told. It was written down before, and what came of it is after: whoever goes on repeats at most one. */
export function createDelivery(parts: {
  store: IncidentsStore
  incidents: Incidents
  tell: Tell
  links: AckLinks
  /** Where people reach the hub; '' when it does not know: then there are no links. */
  publicUrl: string
  linkMs: number
  language: 'en' | 'zh'
  clock: Clock
  log: Log
  metrics: Metrics
}) {
  const { store, incidents, tell, links, publicUrl, linkMs, language, clock, log } = parts
  const counted = parts.metrics.counter(
    'gatehouse_incidents_pages_total',
    'Messages about incidents, by why and by what came of them.',
    ['reason', 'result'],
  )

  function urlOf(page: Page): string | undefined {
    if (publicUrl === '' || page.incidentId === '') return undefined
    const base = `${publicUrl.replace(/\/$/, '')}/api/incidents/${page.incidentId}`
    if (page.reason !== 'escalation') return `${base}/report?format=html`
    const { incidentId, cycle, person } = page
    const token = links.write({ incidentId, cycle, person, expiresAt: clock.now() + linkMs })
    return `${base}/acknowledge?token=${token}`
  }

  /** Hands it over once; tells what came of it. Never rejects. */
  async function hand(page: Page, { hidden, about, signal }: More): Promise<Handed> {
    const url = urlOf(page)
    try {
      const text = hidden.length === 0 ? page.text : `${page.text}\n${sayHidden(hidden, language)}`
      const digest = createHash('sha256').update(page.id).digest('hex')
      const result = await tell({
        ...{ about, id: `ntf_${digest.slice(0, 26)}`, ...(signal && { signal }) },
        ...{ channels: [...page.channels], title: page.title, text, ...(url !== undefined && { url }) },
        severity: page.reason === 'resolved' || page.reason === 'digest' ? 'info' : severityOf[page.severity],
        ...{ traceId: digest.slice(0, 32), dedupeKey: page.id },
      })
      if (result !== 'delivered' && signal?.aborted) return { result: 'stopped', why: '' }
      counted.with({ reason: page.reason, result }).inc()
      return { result, why: '' }
    } catch (error) {
      log.warn(`The message ${page.id} could not be handed over`, { error })
      const why = error instanceof Error ? error.message : String(error)
      const result = page.tries + 1 < mostTries ? 'later' : 'failed'
      counted.with({ reason: page.reason, result }).inc()
      return { result, why }
    }
  }

  /** How a page stands once it was handed over. */
  function moved(page: Page, { result }: Handed): Pick<Page, 'state' | 'tries' | 'dueAt'> {
    if (result === 'stopped') return page
    const dueAt = clock.now() + (result === 'later' ? Math.min(5000 * 2 ** page.tries, 300_000) : 0)
    return {
      ...{ state: result === 'later' ? 'intended' : result === 'nobody' ? 'failed' : result, dueAt },
      tries: page.tries + 1,
    }
  }

  async function send(page: Page, more: More): Promise<void> {
    const handed = await hand(page, more)
    const { result } = handed
    if (result === 'stopped') return
    const after = moved(page, handed)
    if (page.incidentId === '' || result === 'later') {
      await store.transaction((trx) => store.movePage(trx, page.id, after))
      return
    }
    const isUnheard = ({ kind }: { kind: string }) => kind === 'nobody_told'
    const wasSaid = result === 'nobody' && (await store.timeline(page.incidentId, 10_000)).some(isUnheard)
    await incidents.change(everything, page.incidentId, hubActor, async (incident, turn, trx) => {
      if (!(await store.movePage(trx, page.id, after))) return
      sayHanded(incident, turn, page, handed, wasSaid)
    })
  }

  return {
    hand,
    moved,
    /**
     * Sends all that is due, several at once; one that hangs holds up its own batch only until `tell` decides, or `signal`
     * aborts: then it is still due.
     */
    async deliver(signal?: AbortSignal): Promise<number> {
      let count = 0
      while (!signal?.aborted) {
        const pages = await store.duePages(clock.now(), atOnce)
        const more: More[] = []
        for (const { reason, incidentId } of pages) {
          const isPage = reason === 'escalation'
          const hidden = isPage ? await store.explained(incidentId, mostHidden) : []
          more.push({ hidden, about: isPage ? await store.firingPrints(incidentId) : [], signal })
        }
        const ended = await Promise.allSettled(pages.map((page, index) => send(page, more[index]!)))
        const broken = ended.find((each) => each.status === 'rejected')
        if (broken !== undefined) throw broken.reason
        count += pages.length
        if (pages.length < atOnce) return count
      }
      return count
    },
  }
}

/** What came of handing a page over, in the words of the timeline; whoever could not be reached need not be waited for. */
export function sayHanded(incident: Incident, turn: Turn, page: Page, { result, why }: Handed, wasSaid: boolean): void {
  const whom = [page.person, page.channels.join(', ')].filter((each) => each !== '').join(': ')
  if (result === 'nobody') {
    // Once: every further step would say the same.
    if (!wasSaid) turn.say('nobody_told', `${whom} – there is no such channel, and no default receiver: make one`, {})
  } else {
    const kind = result === 'delivered' ? 'told' : 'not_told'
    turn.say(kind, `${whom}${why === '' ? '' : ` – ${why.slice(0, 300)}`}`, { page: page.id })
  }
  const { escalation } = incident
  if (result === 'delivered' || page.reason !== 'escalation' || escalation.cycle !== page.cycle) return
  if (incident.state === 'open' && escalation.nextAt !== null) {
    incident.escalation = { ...escalation, nextAt: Math.min(escalation.nextAt, turn.now + 60_000) }
  }
}
