import type { IncomingMessage, ServerResponse } from 'node:http'

/** Where the hub itself answers as the demo's plugin service. */
const pluginPath = '/demo/plugin'

const items = [
  { id: 1, name: '龙井茶', description: 'Longjing tea', price: 38.5 },
  { id: 2, name: '宣纸', description: 'Xuan paper', price: 12 },
]

/** What the demo's plugin tells the registry; `hubUrl` is where a hub serves. */
export function toManifest(hubUrl: string) {
  const { hostname, port } = new URL(hubUrl)
  return {
    ...{ name: 'demo-plugin', display_name: '内置演示插件 · Built-in demo plugin', version: '1.0.0' },
    description: 'Made up by --demo; `gatehouse demo remove` takes it away',
    ...{ host: hostname, port: Number(port), base_path: pluginPath, health_check_url: `${pluginPath}/health` },
    // It lives as long as the hub does, and sends no heartbeats to itself.
    ...{ ephemeral: false, instance_id: 'built-in', is_shared: true, tags: ['demo'] },
    endpoints: [
      { method: 'GET', path: '/items', is_public: true, required_roles: [], description: 'Two items' },
      {
        method: 'GET',
        path: '/whoami',
        is_public: false,
        required_roles: [],
        description: 'What a plugin is told of you',
      },
    ],
  }
}

/** The hub's own calls to it are for somebody else, also before it has an owner: what is local about them is not seen. */
export function isDemoPlugin(url: string): boolean {
  return url.startsWith(`${pluginPath}/`)
}

/** Answers as a plugin would; it holds nothing that is anybody's. */
export function answerPlugin(request: IncomingMessage, response: ServerResponse): void {
  request.resume()
  const { pathname } = new URL(request.url ?? '/', 'http://demo')
  const path = pathname.slice(pluginPath.length)
  const told = (name: string) => request.headers[`x-gatehouse-${name}`] ?? ''
  const answers: Record<string, object> = {
    '/health': { status: 'healthy' },
    '/items': { items, count: items.length },
    '/whoami': { user: told('user'), tenant: told('tenant'), role: told('role'), key: told('key') },
  }
  const found = request.method === 'GET' ? answers[path] : undefined
  const bytes = Buffer.from(JSON.stringify(found ?? { detail: `GET /items or /whoami, not ${path}` }))
  response.writeHead(found ? 200 : 404, { 'content-type': 'application/json', 'content-length': bytes.byteLength })
  response.end(bytes)
}
