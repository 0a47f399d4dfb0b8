import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname } from 'node:path'
import { type Caller, createCallerVerifier, readCaller } from './caller.ts'
import { createHubClient, type HubClient } from './hub-client.ts'
import { createHubLink, readTraceHeaders } from './hub-link.ts'
import { createMembership, type Manifest, type TokenStore } from './membership.ts'

export type PluginOptions = Omit<Manifest, 'host' | 'port' | 'health_check_url'> & {
  /** Where the hub reaches this process: PLUGIN_HOST, else 127.0.0.1. */
  host?: string
  /** PLUGIN_PORT, else any free port. */
  port?: number
  /** Address to listen on; `host` unless said. */
  listenOn?: string
  /** GATEHOUSE_URL, else http://127.0.0.1:8000. Where registry and gateway are apart, the registry: REGISTRY_URL. */
  hubUrl?: string
  registryUrl?: string
  /** GATEHOUSE_REGISTRATION_TOKEN: one-time, made by an administrator. */
  registrationToken?: string
  /** Where the service's own token is kept between runs: GATEHOUSE_TOKEN_FILE, else `.gatehouse/<name>.token`. */
  tokenFile?: string
  /** Path of the health route; its answer is 200 while `isHealthy` says so, else 503. */
  healthPath?: string
  isHealthy?(): boolean | Promise<boolean>
  /** How long running answers may take to end after SIGTERM. */
  drainMs?: number
  log?(line: string): void
  handle(call: PluginCall): unknown
}

export type PluginCall = {
  request: IncomingMessage
  response: ServerResponse
  /** As the hub sent it, with the query. */
  url: URL
  /** Who calls, in the hub's words; null for nobody known. Believe it where only the hub can reach this process. */
  caller: Caller | null
  /** The same, proved by the hub's signature; null when it is not. */
  verifyCaller(): Promise<Caller | null>
  /** The hub, called as this plugin and in the trace of this call. */
  hub: HubClient
}

export type Plugin = {
  url: string
  hub: HubClient
  /** Resolves when the hub routes calls here. */
  registered: Promise<void>
  /** Drains, deregisters and closes, as SIGTERM does. Resolves when nothing is left. */
  stop(): Promise<void>
}

const signals = ['SIGTERM', 'SIGINT'] as const
const defaultDrainMs = 25_000
/** Every node of the hub knows within this that we drain; until then calls may still come, and are answered. */
const lingerMs = 1000

/**
 * Serves a plugin: listens, registers at the hub (which may come up later), beats, answers its health route, and on
 * SIGTERM or SIGINT drains, deregisters and ends. Rejects only when it cannot listen.
 */
export async function servePlugin(options: PluginOptions): Promise<Plugin> {
  const { env } = process
  const log = options.log ?? ((line) => process.stdout.write(`${new Date().toISOString()} [${options.name}] ${line}\n`))
  const host = options.host ?? env.PLUGIN_HOST ?? '127.0.0.1'
  const healthPath = options.healthPath ?? '/health'
  const hubUrl = options.hubUrl ?? env.GATEHOUSE_URL ?? 'http://127.0.0.1:8000'
  const registryUrl = options.registryUrl ?? env.REGISTRY_URL ?? hubUrl
  const hubLink = createHubLink(hubUrl)
  const registryLink = registryUrl === hubUrl ? hubLink : createHubLink(registryUrl)
  const verifyCaller = createCallerVerifier(hubLink, options.name)
  let open = 0
  let whenIdle: (() => void) | undefined

  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://plugin')
    if (url.pathname === healthPath && request.method === 'GET') return void answerHealth(response)
    open += 1
    response.once('close', () => {
      open -= 1
      if (open === 0) whenIdle?.()
    })
    const call: PluginCall = {
      hub: createHubClient(hubLink, membership.token, registryLink, readTraceHeaders(request.headers)),
      ...{ request, response, url, caller: readCaller(request.headers) },
      verifyCaller: () => verifyCaller(request.headers),
    }
    new Promise((resolve) => resolve(options.handle(call))).catch((error: unknown) => {
      log(`${request.method} ${url.pathname} failed: ${error instanceof Error ? error.stack : String(error)}`)
      if (response.headersSent) response.destroy()
      else sendJson(response, 500, { title: 'the plugin failed' })
    })
  })
  await listen(server, options.port ?? Number(env.PLUGIN_PORT ?? 0), options.listenOn ?? host)
  const { port } = server.address() as AddressInfo

  const membership = createMembership({
    link: registryLink,
    manifest: toManifest(options, host, port, healthPath),
    registrationToken: options.registrationToken ?? env.GATEHOUSE_REGISTRATION_TOKEN,
    tokens: openTokenFile(options.tokenFile ?? env.GATEHOUSE_TOKEN_FILE ?? `.gatehouse/${options.name}.token`),
    log,
  })
  const hub = createHubClient(hubLink, membership.token, registryLink)
  log(`listening on http://${host}:${port}`)
  const registered = membership.join()

  async function answerHealth(response: ServerResponse): Promise<void> {
    const isHealthy = await Promise.resolve(options.isHealthy?.() ?? true).catch(() => false)
    sendJson(response, isHealthy ? 200 : 503, { status: isHealthy ? 'healthy' : 'unhealthy' })
  }

  async function stop(): Promise<void> {
    const attempt = (what: string, work: Promise<void>) =>
      work.catch((error: unknown) => log(`${what} failed: ${error instanceof Error ? error.message : String(error)}`))
    if (membership.isRegistered()) {
      await attempt('draining', membership.drain())
      await new Promise((resolve) => setTimeout(resolve, lingerMs))
    }
    if (open > 0) {
      log(`waiting for ${open} running answers`)
      const idle = new Promise<void>((resolve) => {
        whenIdle = resolve
      })
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, options.drainMs ?? defaultDrainMs)
      await Promise.race([idle, late])
      clearTimeout(timer)
    }
    await attempt('deregistering', membership.leave())
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    hubLink.close()
    registryLink.close()
    for (const signal of signals) process.off(signal, leave)
  }

  let stopped: Promise<void> | undefined
  const stopOnce = () => (stopped ??= stop())
  function leave(signal: string): void {
    log(`${signal}: leaving the hub`)
    void stopOnce().then(() => process.exit(0))
  }
  for (const signal of signals) process.once(signal, leave)
  return { url: `http://${host}:${port}`, hub, registered, stop: stopOnce }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body))
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': bytes.byteLength })
  response.end(bytes)
}

/** Reads a JSON body of at most `mostBytes`. Rejects with a message for the caller when it is not one. */
export async function readJson(request: IncomingMessage, mostBytes = 1024 * 1024): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size > mostBytes) throw new RangeError(`the body is larger than ${mostBytes} bytes`)
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'))
}

function toManifest(options: PluginOptions, host: string, port: number, healthPath: string): Manifest {
  const { name, display_name, description, version, base_path, openapi } = options
  const { metadata, tags, weight, requires_auth, endpoints } = options
  const all = {
    name,
    display_name,
    description,
    version,
    base_path,
    openapi,
    metadata,
    tags,
    weight,
    requires_auth,
  }
  return { ...all, ...(endpoints ? { endpoints } : {}), host, port, health_check_url: healthPath } as Manifest
}

function listen(server: http.Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use; set PLUGIN_PORT to another one' : error.message
      reject(new Error(`cannot listen on ${host}:${port}: ${why}`))
    })
    server.listen(port, host, resolve)
  })
}

/** A file only its owner reads: whoever has the token is the service. */
function openTokenFile(path: string): TokenStore {
  return {
    read() {
      try {
        return readFileSync(path, 'utf8').trim() || null
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw error
      }
    },
    write(token) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      writeFileSync(path, `${token}\n`, { mode: 0o600 })
    },
  }
}
