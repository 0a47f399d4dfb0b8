import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The kit's own files: a plugin gets a copy, so that it needs neither the hub's package nor a registry of packages. */
const kit = ['caller.ts', 'hub-client.ts', 'hub-link.ts', 'index.ts', 'membership.ts', 'plugin.ts']

/**
 * Writes a plugin that runs as it is into `folder`, which must be absent or empty. Returns the files written, relative
 * to it. Throws when something is there already: nothing is ever overwritten.
 */
export function scaffoldPlugin(name: string, folder: string): string[] {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new Error(`${folder} is not empty: choose another folder with --dir, nothing is overwritten`)
  }
  const files: Record<string, string> = {
    'package.json': packageJson(name),
    'main.ts': mainSource(name),
    'README.md': readme(name),
    '.gitignore': 'node_modules/\n.gatehouse/\n',
  }
  mkdirSync(join(folder, 'gatehouse'), { recursive: true })
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text)
  for (const file of kit) cpSync(join(import.meta.dirname, file), join(folder, 'gatehouse', file))
  return [...Object.keys(files), ...kit.map((file) => `gatehouse/${file}`)]
}

function packageJson(name: string): string {
  const fields = {
    ...{ name, version: '0.1.0', private: true, type: 'module', engines: { node: '>=22.18' } },
    scripts: { start: 'node main.ts', dev: 'node --watch main.ts' },
  }
  return `${JSON.stringify(fields, null, 2)}\n`
}

function mainSource(name: string): string {
  return `import { sendJson, servePlugin } from './gatehouse/index.ts'

await servePlugin({
  name: '${name}',
  version: '0.1.0',
  // What callers may ask below /api/${name}/; the hub enforces it before a call comes here.
  endpoints: [
    { method: 'GET', path: '/hello', is_public: true, description: 'Greets whoever asks' },
    { method: 'POST', path: '/ask', description: 'Asks a model, on this plugin\\'s own account' },
  ],

  async handle({ request, response, url, caller, hub }) {
    if (url.pathname === '/hello') {
      return sendJson(response, 200, { hello: caller?.userId ?? 'stranger' })
    }
    if (url.pathname === '/ask' && request.method === 'POST') {
      const [model] = await hub.models()
      if (model === undefined) return sendJson(response, 503, { detail: 'this plugin may use no model yet' })
      const answer = await hub.chat({ model, messages: [{ role: 'user', content: 'Say hello.' }] })
      return sendJson(response, 200, { model, said: answer.choices[0]?.message.content })
    }
    sendJson(response, 404, { detail: \`there is no \${url.pathname}\` })
  },
})
`
}

function readme(name: string): string {
  return `# ${name}

A plugin service of Gatehouse · Gatehouse 插件服务。Needs Node 22.18 or newer, and no packages.

1. An administrator makes a registration token · 管理员创建一次性注册令牌:

   \`\`\`sh
   curl -X POST http://127.0.0.1:8000/api/registry/tokens -H "Authorization: Bearer $ADMIN_KEY" \\
     -H 'Content-Type: application/json' -d '{"service": "${name}"}'
   \`\`\`

2. Start it · 启动:

   \`\`\`sh
   GATEHOUSE_REGISTRATION_TOKEN=… npm start
   \`\`\`

   The first start claims the name; the service's own token is kept in \`.gatehouse/${name}.token\` from then on.

3. Call it through the hub · 通过网关调用:

   \`\`\`sh
   curl http://127.0.0.1:8000/api/${name}/hello
   \`\`\`

| variable | meaning |
|---|---|
| \`GATEHOUSE_URL\` | the hub · 网关地址 (http://127.0.0.1:8000) |
| \`REGISTRY_URL\` | the registry, where it runs apart · 独立部署的注册中心 |
| \`GATEHOUSE_REGISTRATION_TOKEN\` | one-time token for the first start · 首次启动的一次性令牌 |
| \`PLUGIN_HOST\` \`PLUGIN_PORT\` | where the hub reaches this process · 网关访问本进程的地址 |

\`gatehouse/\` is the kit, as files of your own: read it, change it.
`
}
