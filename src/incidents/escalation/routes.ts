import { z } from 'zod'
import { reply } from '../../http/reply.ts'
import { defineRoute, type Route } from '../../http/route.ts'
import type { Clock } from '../../kernel/clock.ts'
import { HubError } from '../../kernel/errors.ts'
import { escapeHtml } from '../../kernel/html.ts'
import { everything } from '../../kernel/scope.ts'
import type { Incidents } from '../incidents.ts'
import { acknowledge } from '../life.ts'
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
  clock: Clock
}): Route[] {
  const { incidents, store, links, clock } = parts
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
        const found = await store.find(everything, id)
        if (found === undefined) return page(404, language, words(language).gone)
        const { state, title, severity, escalation } = found.incident
        const say = words(language)
        const heading = `[${severity}] ${id} ${title}`
        if (state !== 'open' || escalation.cycle !== claim.cycle)
          return page(200, language, heading, `${say.state}: ${state}`)
        return page(
          ...([200, language, heading, say.ask] as const),
          `<form method="post" action="/api/incidents/${id}/acknowledge"><input type="hidden" name="token" value="${escapeHtml(query.token)}"><button>${say.button}</button></form>`,
        )
      },
    }),
    defineRoute({
      ...{ ...open, method: 'POST', summary: 'Acknowledges, by the link of a message.', body: token, takesForm: true },
      action: 'incidents.acknowledge',
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
        try {
          const { result, incident } = await incidents.change(everything, id, whoOf(claim), (incident, turn) =>
            // A former escalation's link is no answer to this one.
            incident.escalation.cycle === claim.cycle ? acknowledge(incident, turn) : null,
          )
          if (result === null) return page(409, language, say.old)
          return page(200, language, result ? say.done : say.already, `${id}: ${incident.state}`)
        } catch (error) {
          if (error instanceof HubError && error.code === 'conflict') return page(409, language, say.over)
          if (error instanceof HubError && error.code === 'not_found') return page(404, language, say.gone)
          throw error
        }
      },
    }),
  ]
}

function words(language: 'en' | 'zh' | null) {
  return language === 'zh'
    ? {
        ...{ ask: '由您处理该故障？', button: '确认', done: '已确认', already: '已有人确认', state: '当前状态' },
        ...{ old: '该链接属于先前的通知，请使用最新通知中的链接。', over: '故障已结束', gone: '故障不存在' },
      }
    : {
        ...{ ask: 'Do you have it?', button: 'Acknowledge', done: 'Acknowledged', state: 'State' },
        ...{ already: 'Somebody had acknowledged it already', over: 'It is over', gone: 'There is no such incident' },
        old: 'This link is of a former message: use the one of the latest.',
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
