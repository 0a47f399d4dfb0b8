import { z } from 'zod'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { HubError } from '../../kernel/errors.ts'
import { escapeHtml } from '../../kernel/html.ts'
import { everything } from '../../kernel/scope.ts'
import type { Incidents } from '../incidents.ts'
import { acknowledge } from '../life.ts'
import type { Incident } from '../schema.ts'
import type { Standby } from '../standby.ts'
import type { IncidentsStore } from '../store.ts'
import type { AckClaim, AckLinks } from './links.ts'

const token = z.strictObject({ token: z.string().max(2000) })
const params = z.object({ id: z.string().max(40) })

/**
 * The page behind the link of a message. Reading it changes nothing, because mail gateways and chat previews follow every
 * link; a person presses its button.
 */
export function acknowledgeRoutes(parts: {
  incidents: Incidents
  store: IncidentsStore
  links: AckLinks
  standby: Pick<Standby, 'find' | 'acknowledge' | 'acknowledgeLater' | 'adoptedAs'>
  clock: Clock
}): Route[] {
  const { incidents, store, links, standby, clock } = parts
  const open = {
    ...({ tag: 'incidents', access: 'public', path: '/api/incidents/:id/acknowledge', params } as const),
    limit: { points: 60, seconds: 60 },
  }
  const whoOf = ({ person }: AckClaim) => ({ kind: 'link' as const, id: person || 'link', name: person || 'a link' })

  return [
    defineRoute({
      ...{ ...open, method: 'GET', summary: 'Asks whether to acknowledge; changes nothing.', query: token },
      async handle({ params: { id }, query, language }) {
        const claim = links.read(query.token, id, clock.now())
        const say = words(language)
        const found = await find(id)
        if (found === null) return page(404, language, say.gone)
        const asked = `<form method="post" action="/api/incidents/${id}/acknowledge"><input type="hidden" name="token" value="${escapeHtml(query.token)}"><button>${say.button}</button></form>`
        // The store is away: whether somebody has it already is not known, and it can be said all the same.
        if (found === undefined) return page(200, language, id, say.ask, asked)
        const { state, title, severity, escalation } = found
        const heading = `[${severity}] ${found.id} ${title}`
        if (state !== 'open' || escalation.cycle !== claim.cycle)
          return page(200, language, heading, `${say.state}: ${state}`)
        return page(200, language, heading, say.ask, asked)
      },
    }),
    defineRoute({
      ...{ ...open, method: 'POST', summary: 'Acknowledges, by the link of a message.', body: token, takesForm: true },
      ...{ action: 'incidents.acknowledge', runsUnaudited: true },
      async actorOf({ params, body }) {
        try {
          const claim = links.read((body as { token: string }).token, (params as { id: string }).id, clock.now())
          return whoOf(claim)
        } catch {
          return null
        }
      },
      async handle({ params: { id }, body, language, audit }) {
        const claim = links.read(body.token, id, clock.now())
        const say = words(language)
        audit?.({ target: id })
        const answer = (result: boolean | null, text: string) =>
          result === null ? page(409, language, say.old) : page(200, language, result ? say.done : say.already, text)
        try {
          const kept = await standby.acknowledge(id, claim.cycle, whoOf(claim))
          if (kept !== undefined) {
            const where = kept.isKept ? say.held : say.unkept
            return answer(kept.result, `${id}: ${kept.incident.state}. ${where}`)
          }
          const { result, incident } = await incidents.change(
            everything,
            await idOf(id),
            whoOf(claim),
            (incident, turn) =>
              // A former escalation's link is no answer to this one.
              incident.escalation.cycle === claim.cycle ? acknowledge(incident, turn) : null,
          )
          return answer(result, `${incident.id}: ${incident.state}`)
        } catch (error) {
          if (error instanceof HubError && error.code === 'conflict') return page(409, language, say.over)
          if (error instanceof HubError && error.code === 'not_found') return page(404, language, say.gone)
          if (!isAway(error)) throw error
          const isKept = await standby.acknowledgeLater(id, claim.cycle, whoOf(claim))
          return page(202, language, say.done, `${id}. ${isKept ? say.held : say.unkept}`)
        }
      },
    }),
  ]

  /** Under what id it is in the store: one that began while that was away has had another. */
  async function idOf(id: string): Promise<string> {
    return (id.startsWith('HELD-') ? await standby.adoptedAs(id) : undefined) ?? id
  }

  /** null where there is none; undefined where nobody can say, because the store is away. */
  async function find(id: string): Promise<Incident | null | undefined> {
    const held = standby.find(id)
    if (held !== undefined) return held
    try {
      return (await store.find(everything, await idOf(id)))?.incident ?? null
    } catch (error) {
      if (isAway(error)) return undefined
      throw error
    }
  }
}

/** What is no refusal of ours is the store's, or says that the store is away. */
function isAway(error: unknown): boolean {
  return !(error instanceof HubError) || error.code === 'unavailable'
}

function words(language: 'en' | 'zh' | null) {
  return language === 'zh'
    ? {
        ...{ ask: '由您处理该故障？', button: '确认', done: '已确认', already: '已有人确认', state: '当前状态' },
        ...{ old: '该链接属于先前的通知，请使用最新通知中的链接。', over: '故障已结束', gone: '故障不存在' },
        held: '数据库暂不可用：已保存在本机磁盘，恢复后自动写入。',
        unkept: '数据库与磁盘均不可用：目前仅保存在内存中，恢复后自动写入；重启会丢失。',
      }
    : {
        ...{ ask: 'Do you have it?', button: 'Acknowledge', done: 'Acknowledged', state: 'State' },
        ...{ already: 'Somebody had acknowledged it already', over: 'It is over', gone: 'There is no such incident' },
        old: 'This link is of a former message: use the one of the latest.',
        held: 'The store is away: it is kept on the disk of the hub and entered when the store is back.',
        unkept: 'Store and disk are away: it is in memory only, entered when the store is back, and lost by a restart.',
      }
}

function page(status: number, language: 'en' | 'zh' | null, heading: string, text = '', form = '') {
  const html = `<!doctype html>
<html lang="${language === 'zh' ? 'zh-CN' : 'en'}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>${escapeHtml(heading)}</title>
<style>body{font:17px/1.6 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem}button{font:inherit;padding:.6rem 1.6rem}</style>
<h1>${escapeHtml(heading)}</h1>
<p>${escapeHtml(text)}</p>
${form}
</html>
`
  return reply(status, html, {
    ...{ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' },
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
  })
}
