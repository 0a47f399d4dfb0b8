/**
 * The demo plugin of the guide: items with create, read, update and delete, kept in a database file of its own, behind
 * the hub at /api/demo-service/items. Start it with `node examples/plugin-demo/main.ts`; see README.md beside it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { readJson, sendJson, servePlugin } from 'gatehouse/plugin'
import { createItems, readItem } from './items.ts'

const version = '1.0.0'
const folder = process.env.DEMO_DATA ?? 'data/plugin-demo'
mkdirSync(folder, { recursive: true })
const items = createItems(join(folder, 'items.db'))

await servePlugin({
  name: 'demo-service',
  display_name: '演示服务 · Demo service',
  description: 'Items, to see a plugin at work',
  version,
  port: Number(process.env.PLUGIN_PORT ?? 8003),
  tags: ['demo', 'example'],
  metadata: { author: 'Gatehouse', category: 'demo' },
  requires_auth: false,
  endpoints: [
    { method: 'GET', path: '/', is_public: true },
    { method: 'GET', path: '/items', is_public: true, description: 'All items' },
    { method: 'POST', path: '/items', is_public: true, description: 'Makes an item' },
    { method: 'GET', path: '/items/{id}', is_public: true },
    { method: 'PUT', path: '/items/{id}', is_public: true },
    { method: 'DELETE', path: '/items/{id}', is_public: true },
  ],
  tokenFile: process.env.GATEHOUSE_TOKEN_FILE ?? join(folder, 'service.token'),
  isHealthy: () => items.isOpen(),

  async handle({ request, response, url }) {
    const [first, id, ...more] = url.pathname.split('/').filter((segment) => segment !== '')
    if (first === undefined) return sendJson(response, 200, { service: 'demo-service', version, status: 'running' })
    if (first !== 'items' || more.length > 0) return sendJson(response, 404, { detail: `there is no ${url.pathname}` })
    if (id === undefined) {
      if (request.method === 'GET') return sendJson(response, 200, { items: items.all(), count: items.count() })
      if (request.method !== 'POST') return sendJson(response, 405, { detail: 'GET or POST' })
      const read = readItem(await readJson(request).catch(() => null))
      return read.ok
        ? sendJson(response, 200, { status: 'created', item: items.create(read.item) })
        : sendJson(response, 422, { detail: read.why })
    }
    const known = /^\d{1,15}$/.test(id) ? items.find(Number(id)) : undefined
    if (known === undefined) return sendJson(response, 404, { detail: 'Item not found' })
    if (request.method === 'GET') return sendJson(response, 200, known)
    if (request.method === 'DELETE') {
      items.delete(known.id)
      return sendJson(response, 200, { status: 'deleted', item_id: known.id })
    }
    if (request.method !== 'PUT') return sendJson(response, 405, { detail: 'GET, PUT or DELETE' })
    const read = readItem(await readJson(request).catch(() => null))
    return read.ok
      ? sendJson(response, 200, { status: 'updated', item: items.update(known.id, read.item) })
      : sendJson(response, 422, { detail: read.why })
  },
})
