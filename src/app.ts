import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { z } from 'zod'
import { type ConsoleFiles, consolePolicy } from './http/console-pages.ts'
import type { RequestContext } from './http/context.ts'
import { createControlRelay, segmentOf } from './http/control-relay.ts'
import { createServer, type HubServer, type ServerOptions } from './http/listen.ts'
import { type ControlAppOptions, createControlApp } from './http/mount.ts'
import { reply } from './http/reply.ts'
import type { Roles } from './http/roles.ts'
import { defineRoute, type Route } from './http/route.ts'
import { readTextIfPresent } from './platform/files.ts'
import type { Seat } from './platform/processes/seat.ts'

export type AppParts = Omit<ControlAppOptions, 'routes' | 'console'> &
  Omit<ServerOptions, 'dataPaths' | 'controlApp'> & {
    /** Of the rooms this process answers for, in the order of the OpenAPI document. */
    routes: readonly Route[]
    roles: Roles
    /** Raw paths, asked in this order before the control app. */
    dataPaths: readonly ServerOptions['dataPaths'][]
    openMetrics: boolean
    /** Set in one of several processes of a node. */
    seat?: Seat | undefined
  }

/**
 * Everything that answers, in the order it is asked: the edge (ids, address, drain, set-up guard), the raw paths of
 * calls to models, then the control app with each room's routes.
 */
export async function createApp(parts: AppParts): Promise<HubServer> {
  const files = parts.roles.has('console') ? readConsole() : null
  const controlApp = await createControlApp({
    ...{ ...parts, console: files },
    routes: [...parts.routes, ...ownRoutes(parts, files)],
  })
  await controlApp.ready()
  return createServer({
    ...parts,
    door: parts.seat,
    relay: parts.seat?.kind === 'worker' ? relayOf(parts.seat, parts) : undefined,
    controlApp,
    dataPaths: (request: IncomingMessage, response: ServerResponse, context: RequestContext) =>
      parts.dataPaths.some((serve) => serve(request, response, context)),
  })
}

/** A worker answers calls, and what is asked of itself; all else is for the control process. */
function relayOf({ controlSocket, link }: Seat, { routes, clock }: AppParts) {
  const isUp = () => link.family().some(({ kind, state }) => kind === 'control' && state === 'running')
  const ownSegments = new Set(routes.map(({ path }) => segmentOf(path)).filter((segment) => segment !== 'api'))
  return createControlRelay({ socketPath: controlSocket, ownSegments, isUp, clock })
}

/** What `npm run build` has made of `console/`; null where it was not run. */
function readConsole(): ConsoleFiles | null {
  const folder = join(import.meta.dirname, '..', 'console', 'dist')
  const page = readTextIfPresent(join(folder, 'index.html'))
  return page === null ? null : { page, folder }
}

function ownRoutes({ version, metrics, openMetrics, roles, seat }: AppParts, files: ConsoleFiles | null): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/',
      access: 'public',
      tag: 'hub',
      summary: 'What this is; the console for browsers.',
      reply: z.object({ service: z.string(), status: z.string(), version: z.string() }),
      handle: ({ accept }) =>
        roles.has('console') && accept.includes('text/html')
          ? reply(200, files?.page ?? welcome(version), {
              'content-type': 'text/html; charset=utf-8',
              'content-security-policy': files ? consolePolicy : welcomePolicy,
              // It names files by their contents: an old one would ask for what is gone.
              'cache-control': 'no-cache',
            })
          : { service: seat === undefined ? roles.serviceName : 'gatehouse', status: 'running', version },
    }),
    defineRoute({
      method: 'GET',
      path: '/metrics',
      access: openMetrics ? 'public' : 'super_admin',
      tag: 'hub',
      summary: 'Prometheus exposition. Needs ADMIN_KEY as bearer token unless server.open_metrics is set.',
      async handle() {
        const { contentType, text } = await metrics.render()
        return reply(200, text, { 'content-type': contentType })
      },
    }),
  ]
}

// Where the console is not built: one page, one sheet of style in it, and not a line of script.
const welcomePolicy =
  "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

function welcome(version: string): string {
  return `<!doctype html>
<html lang="zh-CN">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gatehouse</title>
<style>
body { font: 16px/1.6 system-ui, sans-serif; max-width: 42rem; margin: 10vh auto; padding: 0 1.5rem; color: #1c2733; background: #f7f8fa }
h1 { font-size: 1.5rem; margin: 0 } code { background: #e9edf2; padding: .1em .35em; border-radius: 4px }
small { color: #5b6b7b } li { margin: .3rem 0 } a { color: #0b62c4 }
@media (prefers-color-scheme: dark) { body { color: #dce3ea; background: #12171d } code { background: #222b35 } a { color: #6cb2ff } small { color: #8fa0b1 } }
</style>
<h1>Gatehouse <small>${version}</small></h1>
<p>The console is not built: <code>npm run build</code> makes it, <code>npm start</code> does so by itself.<br>控制台尚未构建：运行 <code>npm run build</code>，或用 <code>npm start</code> 启动（会自动构建）。</p>
<p>Running. Point any OpenAI client at <code>/v1</code> of this address.<br>运行中。将任意 OpenAI 客户端的地址指向本服务的 <code>/v1</code> 即可。</p>
<ul>
<li><a href="docs">API reference · 接口文档</a></li>
<li><a href="health">Health · 健康状态</a></li>
<li><a href="openapi.json">OpenAPI 3.1</a></li>
</ul>
</html>
`
}
