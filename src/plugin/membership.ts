import { type HubLink, HubRefusal } from './hub-link.ts'

export type PluginEndpoint = {
  method: string
  /** Below the service: `/items/{id}`. */
  path: string
  description?: string
  /** Empty for everybody who may call the service. */
  required_roles?: string[]
  is_public?: boolean
  /** Calls a minute and caller. */
  rate_limit?: number | null
}

/** What the hub is told of a service and of this instance of it. */
export type Manifest = {
  /** Callers reach it below `/api/<name>/`. */
  name: string
  display_name?: string
  description?: string
  version: string
  /** Where the hub reaches this instance. */
  host: string
  port: number
  base_path?: string
  health_check_url?: string
  /** Where the hub finds the OpenAPI document, below the instance. */
  openapi?: string
  metadata?: Record<string, unknown>
  tags?: string[]
  weight?: number
  requires_auth?: boolean
  endpoints?: PluginEndpoint[]
}

/** Keeps the service token across restarts: a registration token is good for one claim only. */
export type TokenStore = { read(): string | null; write(token: string): void }

export type MembershipOptions = {
  link: HubLink
  manifest: Manifest
  /** One-time, from an administrator; needed until the service has a token of its own. */
  registrationToken?: string | undefined
  tokens: TokenStore
  log(line: string): void
  /** Injected by tests. */
  sleep?(ms: number, signal: AbortSignal): Promise<void>
  random?(): number
}

type RegisterReply = { id: string; instance_id: string; service_token?: string | null; next_heartbeat_seconds: number }
type BeatReply = { next_heartbeat_seconds: number }

export type Membership = {
  /** Registers, and tries again until the hub is there. Resolves when the hub routes calls here. Then beats by itself. */
  join(): Promise<void>
  /** The hub sends nothing new from now on; what runs may end. */
  drain(): Promise<void>
  /** Drained or not, this instance is gone for the hub when the promise resolves. */
  leave(): Promise<void>
  /** The service's own credential; null before the first registration. */
  token(): string | null
  isRegistered(): boolean
}

const firstWaitMs = 500
const longestWaitMs = 15_000
const shortestBeatMs = 500

/**
 * One instance's place in the registry: register with retries, beat when the hub wants it, come back after the hub has
 * forgotten us, drain and leave. Refusals that no repetition mends (a taken name, a bad manifest) are told with the
 * hub's own words and tried again slowly, because an administrator may mend them without restarting the plugin.
 */
export function createMembership(options: MembershipOptions): Membership {
  const { link, manifest, tokens, log } = options
  const sleep = options.sleep ?? sleepFor
  const random = options.random ?? Math.random
  const stopping = new AbortController()
  let instanceId: string | null = null
  let token = tokens.read()
  let joining: Promise<number | null> | undefined
  let beating: Promise<void> | undefined
  let status: 'healthy' | 'draining' = 'healthy'

  async function register(): Promise<number> {
    const credential = token ?? options.registrationToken
    if (credential === undefined) {
      throw new HubRefusal(
        401,
        'unauthenticated',
        'this service has no token yet: ask an administrator for a registration token and pass it as GATEHOUSE_REGISTRATION_TOKEN',
      )
    }
    const reply = await link.ask<RegisterReply>({
      method: 'POST',
      path: '/api/registry/register',
      token: credential,
      body: manifest,
    })
    instanceId = reply.instance_id
    if (reply.service_token) {
      token = reply.service_token
      tokens.write(token)
    }
    return reply.next_heartbeat_seconds * 1000
  }

  /** Until it works or we leave; returns when the first beat is due, or null. */
  async function registerUntilDone(): Promise<number | null> {
    let waitMs = firstWaitMs
    let told = ''
    while (!stopping.signal.aborted) {
      try {
        const beatMs = await register()
        log(`registered at ${link.url} as ${manifest.name} (${instanceId})`)
        return beatMs
      } catch (error) {
        const refusal = toRefusal(error)
        // The same trouble again and again is one line.
        if (refusal.message !== told) log(`not registered yet: ${refusal.message}`)
        told = refusal.message
        // A token the hub no longer takes: the registration token, if there is one, claims the name anew.
        if (refusal.status === 401 && token !== null && options.registrationToken !== undefined) token = null
        const isHopeless = refusal.status >= 400 && refusal.status < 500 && refusal.status !== 429
        const wait = refusal.retryAfterMs ?? (isHopeless ? longestWaitMs : waitMs)
        await sleep(wait * (0.5 + random() / 2), stopping.signal)
        waitMs = Math.min(waitMs * 2, longestWaitMs)
      }
    }
    return null
  }

  function beat(): Promise<BeatReply> {
    return link.ask<BeatReply>({
      method: 'POST',
      path: '/api/registry/heartbeat',
      ...(token === null ? {} : { token }),
      body: { service_id: manifest.name, instance_id: instanceId, status },
    })
  }

  async function keepBeating(firstMs: number): Promise<void> {
    let waitMs = firstMs
    while (!stopping.signal.aborted) {
      await sleep(Math.max(waitMs, shortestBeatMs), stopping.signal)
      if (stopping.signal.aborted) return
      try {
        waitMs = (await beat()).next_heartbeat_seconds * 1000
      } catch (error) {
        const refusal = toRefusal(error)
        if (refusal.status === 404 || refusal.status === 401) {
          log(`the hub does not know this instance any more (${refusal.message}); registering again`)
          waitMs = (await registerUntilDone()) ?? waitMs
        } else {
          log(`a heartbeat failed and is tried again: ${refusal.message}`)
          waitMs = refusal.retryAfterMs ?? Math.min(waitMs, 2000)
        }
      }
    }
  }

  return {
    async join() {
      joining = registerUntilDone()
      const firstMs = await joining
      if (firstMs !== null) beating = keepBeating(firstMs)
    },

    async drain() {
      if (instanceId === null) return
      status = 'draining'
      await beat()
    },

    async leave() {
      stopping.abort()
      // A registration on its way may still succeed: it has to be undone as well.
      await joining
      await beating
      if (instanceId === null) return
      await link.ask({
        method: 'POST',
        path: `/api/registry/deregister/${encodeURIComponent(manifest.name)}`,
        ...(token === null ? {} : { token }),
        body: { instance_id: instanceId },
      })
      instanceId = null
      log(`deregistered ${manifest.name}`)
    },

    token: () => token,
    isRegistered: () => instanceId !== null,
  }
}

function toRefusal(error: unknown): HubRefusal {
  return error instanceof HubRefusal
    ? error
    : new HubRefusal(0, '', error instanceof Error ? error.message : String(error))
}

function sleepFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
