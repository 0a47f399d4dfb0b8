import { z } from 'zod'
import { defineRoute, type Route } from '../../http/route.ts'
import { fail } from '../../kernel/errors.ts'
import { categories } from '../schema.ts'
import { listRunbooks, type Runbook, readRunbook } from './runbooks.ts'

const listed = z.object({
  ...{ name: z.string(), title: z.object({ en: z.string(), zh: z.string() }), categories: z.array(z.enum(categories)) },
})

/** `/api/runbooks`: the pages of docs/runbook. */
export function runbookRoutes(): Route[] {
  const shared = { access: 'tenant_admin', tag: 'incidents', method: 'GET' } as const
  const show = ({ name, title, categories }: Runbook) => ({
    name,
    title,
    categories: [...categories],
  })
  return [
    defineRoute({
      ...{ ...shared, path: '/api/runbooks', summary: 'What to do about which fault.' },
      reply: z.object({ data: z.array(listed) }),
      handle: () => ({ data: listRunbooks().map(show) }),
    }),
    defineRoute({
      ...{ ...shared, path: '/api/runbooks/:name', summary: 'One page, as Markdown; English and Chinese.' },
      params: z.object({ name: z.string().max(100) }),
      reply: listed.extend({ markdown: z.string() }),
      handle({ params }) {
        const found = listRunbooks().find(({ name }) => name === params.name)
        if (found === undefined) throw fail('not_found', `there is no runbook ${params.name}`, { param: 'name' })
        const markdown = readRunbook(found)
        if (markdown === null) throw fail('not_found', 'this installation has no docs folder', { param: 'name' })
        return { ...show(found), markdown }
      },
    }),
  ]
}
