import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '../../src/platform/database/testing.ts'
import { type FakeProvider, startFakeProvider } from '../fake-providers/index.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { bodies, makers, ownNames, references, type Tenancy, type World } from './tenant-things.ts'

type Operation = {
  security?: unknown
  parameters?: { in: string; name: string }[]
  requestBody?: { content?: Record<string, { schema?: Schema }> }
}
type Schema = { properties?: Record<string, unknown>; allOf?: Schema[]; anyOf?: Schema[] }
type Listed = { method: string; path: string; params: string[]; named: string[] }

const password = 'a password of its own'

/**
 * Every control route there is, as the hub itself tells it: rooms added later are among them. The registry's are open to
 * two kinds of credentials and look at them by themselves.
 */
async function listRoutes(hub: TestHub): Promise<Listed[]> {
  const document = (await (await fetch(`${hub.url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>
  }
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation.security !== undefined || path.startsWith('/api/registry/'))
      // Pages of the documentation: the same for everybody.
      .filter(() => path !== '/api/runbooks/{name}')
      .map(([method, { parameters = [], requestBody }]) => ({
        ...{ method: method.toUpperCase(), path, params: [...path.matchAll(/\{(\w+)\}/g)].map((found) => found[1]!) },
        named: [
          ...parameters.filter((each) => each.in === 'query').map((each) => each.name),
          ...Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => membersOf(schema)),
        ].filter((name) => /_ids?$/.test(name)),
      })),
  )
}

function membersOf(schema: Schema | undefined): string[] {
  if (schema === undefined) return []
  const parts = [...(schema.allOf ?? []), ...(schema.anyOf ?? [])]
  return [...Object.keys(schema.properties ?? {}), ...parts.flatMap(membersOf)]
}

/** The beginning of a path that `makers` knows, for all its parameters; undefined for one it does not. */
function kindOf({ path, params }: Pick<Listed, 'path' | 'params'>, known: object = makers): string | undefined {
  if (params.length === 0) return undefined
  return Object.keys(known)
    .filter((prefix) => path.startsWith(`${prefix}/{`))
    .sort((a, b) => b.length - a.length)[0]
}

type Answer = { status: number; text: string }

async function ask(hub: TestHub, token: string, method: string, path: string, body?: object): Promise<Answer> {
  const answer = await fetch(hub.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
    // A stream that does not end is told by its path, and not by the end of the test.
    signal: AbortSignal.timeout(30_000),
  }).catch((error: unknown) => {
    throw new Error(`${method} ${path} was not answered: ${error}`)
  })
  const text = await answer.text().catch((error: unknown) => {
    throw new Error(`${method} ${path} does not end: ${error}`)
  })
  return { status: answer.status, text }
}

/** An answer without what differs between any two: its own id, and the ids that were asked for. */
function bare({ status, text }: Answer, ids: readonly string[]): Answer {
  let plain = text
    .replace(/"(?:request|trace)_id":"[^"]*"/g, '')
    .replace(/"(?:pending|data_as_of)":(?:\d+|"[^"]*")/g, '')
  for (const id of ids) plain = plain.replaceAll(id, '{id}')
  return { status, text: plain }
}

/** What people have made of an incident, without what the hub itself tells of it in the meantime. */
function byPeople(path: string, { status, text }: Answer): Answer {
  if (!path.startsWith('/api/incidents/') || status !== 200) return { status, text }
  if (/\/report|\/acknowledge/.test(path)) return { status, text: '' }
  const told = JSON.parse(text)
  if (path.endsWith('/timeline')) {
    const entries: { by: string; kind: string; text: string }[] = told.data
    return { status, text: JSON.stringify(entries.filter(({ by }) => by !== 'gatehouse')) }
  }
  const { title, description, state, severity, assignee, paused, reopens, tenant_id } = told
  return { status, text: JSON.stringify({ title, description, state, severity, assignee, paused, reopens, tenant_id }) }
}

/** An id of the same shape that never was. */
function neverWas(id: string, salt: number): string {
  const tail = salt
    .toString(32)
    .replace(/[ilou]/g, 'w')
    .padStart(8, '0')
    .slice(-8)
  return /^\d+$/.test(id) ? String(900_000_000 + (salt % 1000)) : `${id.slice(0, -8)}${tail}`
}

async function openWorld(hub: TestHub): Promise<World> {
  const make = async (name: string): Promise<Tenancy> => {
    const { id } = await hub.admin('POST', '/api/tenants', { name, display_name: name })
    const person = async (role: string) => {
      const login = { email: `${name}-${role}@example.com`, password }
      const made = await hub.admin('POST', '/api/users', { ...login, name, role, tenant_id: id })
      return {
        id: made.id as string,
        token: (await hub.admin('POST', '/api/auth/login', login)).access_token as string,
      }
    }
    const [admin, user] = [await person('tenant_admin'), await person('user')]
    const key = await hub.admin('POST', '/api/keys', { name: `${name} key`, tenant_id: id })
    return { id, admin: admin.token, user: user.token, userId: user.id, key: { id: key.id, text: key.key } }
  }
  return { hub, alpha: await make('alpha'), bravo: await make('bravo') }
}

test('a route of a kind nobody has told about is found', () => {
  expect(kindOf({ path: '/api/keys/{id}', params: ['id'] })).toBe('/api/keys')
  expect(kindOf({ path: '/api/new-things/{id}', params: ['id'] })).toBeUndefined()
  expect(kindOf({ path: '/api/auth/sessions/{id}', params: ['id'] })).toBe('/api/auth/sessions')
})

describe.each(engines())('two tenants on $name', ({ address }) => {
  let hub: TestHub
  let upstream: FakeProvider
  let world: World
  let routes: Listed[]

  beforeAll(async () => {
    hub = await startHub({ settings: { 'database.url': await address() } })
    upstream = await startFakeProvider({ kind: 'openai' })
    for (const model of ['bravo-mirrored', 'bravo-second']) {
      await hub.serve(model, { type: 'openai', base_url: upstream.baseUrl, api_key: upstream.apiKey })
    }
    const price = { model: '*', input_usd: '1', output_usd: '2', effective_from: '2020-01-01T00:00:00Z' }
    await hub.admin('POST', '/api/prices', price)
    await hub.admin('PATCH', '/api/models/bravo-mirrored', { mirror: { model: 'bravo-second', percent: 100 } })
    world = await openWorld(hub)
    routes = await listRoutes(hub)
  })
  afterAll(async () => {
    await hub?.stop()
    await upstream?.close()
  })

  test('every route with a parameter has a maker of its thing', () => {
    const unknown = routes.filter((route) => route.params.length > 0 && kindOf(route) === undefined)
    expect(
      unknown.map(({ method, path }) => `${method} ${path}: tell in tenant-things.ts how to make what this names`),
    ).toEqual([])
    expect(routes.filter((route) => route.params.length > 0).length).toBeGreaterThan(30)
  })

  test("C2 another tenant's things are exactly as if they had never been, whatever is asked of them", async () => {
    // Runbooks are pages of the documentation: the same for everybody.
    const named = routes.filter((route) => route.params.length > 0 && route.path !== '/api/runbooks/{name}')
    const things = new Map<string, Record<string, string>>()
    for (const kind of new Set(named.map((route) => kindOf(route)!))) {
      things.set(kind, await makers[kind]!(world, world.bravo))
    }
    const readable = named.filter((route) => route.method === 'GET')
    const fill = (path: string, ids: Record<string, string>) =>
      path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(ids[name] ?? `{${name}}`))
    const readAll = async () => {
      const seen: Record<string, Answer> = {}
      for (const route of readable) {
        const path = fill(route.path, things.get(kindOf(route)!)!)
        seen[path] = byPeople(path, bare(await ask(hub, hub.adminKey, 'GET', path), []))
      }
      return seen
    }
    const before = await readAll()
    // What is not there cannot stay hidden: each of them is there for who may see it.
    expect(
      Object.entries(before).filter(([path, { status }]) => status >= 400 && !/\/(models|openapi)$/.test(path)),
    ).toEqual([])

    const steps = fc.shuffledSubarray(named, { minLength: named.length })
    const persons = fc.infiniteStream(fc.constantFrom('admin' as const, 'user' as const))
    await fc.assert(
      fc.asyncProperty(steps, persons, fc.integer({ min: 1 }), async (walk, who, salt) => {
        for (const route of walk) {
          const token = world.alpha[who.next().value as 'admin' | 'user']
          const ids = things.get(kindOf(route)!)!
          const never = Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, neverWas(id, salt)]))
          const place = `${route.method} ${route.path}`
          const body = ['POST', 'PUT', 'PATCH'].includes(route.method) ? (bodies[place] ?? {}) : undefined
          const theirs = await ask(hub, token, route.method, fill(route.path, ids), body)
          const nobodys = await ask(hub, token, route.method, fill(route.path, never), body)
          expect(theirs.status, `${place}: 400 tells nothing, give it a body in tenant-things.ts`).not.toBe(400)
          expect([403, 404], `${place} answered ${theirs.status}`).toContain(theirs.status)
          expect(bare(theirs, Object.values(ids)), place).toEqual(bare(nobodys, Object.values(never)))
        }
      }),
      // Each run asks every route; more of them only shuffle anew.
      { numRuns: 8 },
    )
    expect(await readAll()).toEqual(before)
    // It asks every route some dozens of times, and risk rules judge a minute when it is over.
  }, 240_000)

  test("what names another tenant's thing in body or query is answered as if it had never been", async () => {
    const open = []
    for (const { method, path, named } of routes) {
      for (const name of named) {
        const place = `${method} ${path} ${name}`
        const reference = references[place]
        const role = await ask(
          hub,
          world.alpha.admin,
          method,
          path.replace(/\{\w+\}/g, 'x'),
          method === 'GET' ? undefined : {},
        )
        // Below super_admin nobody gets as far as a body.
        if (role.status === 403) continue
        if (path.includes('{')) continue
        if (reference === undefined) open.push(`${place}: tell in tenant-things.ts how to send it`)
        else {
          const id = (await makers[reference.of]!(world, world.bravo))[reference.by ?? 'id']!
          const never = neverWas(id, 4711)
          const send = async (sent: string) => {
            const { query, body } = reference.send(sent)
            return ask(hub, world.alpha.admin, method, query === undefined ? path : `${path}?${query}`, body)
          }
          const [theirs, nobodys] = [await send(id), await send(never)]
          if (ownNames.includes(place)) expect(theirs.status, place).toBe(nobodys.status)
          else expect(bare(theirs, [id]), place).toEqual(bare(nobodys, [never]))
          expect(theirs.text, place).not.toContain('bravo')
        }
      }
    }
    expect(open).toEqual([])
  })

  test("no list shows anything of another tenant's", async () => {
    const lists = routes.filter((route) => route.method === 'GET' && route.params.length === 0)
    for (const kind of Object.keys(makers)) {
      await makers[kind]!(world, world.bravo)
      await makers[kind]!(world, { ...world.alpha })
    }
    let seenOwn = 0
    for (const { path } of lists) {
      for (const who of ['admin', 'user'] as const) {
        const { status, text } = await ask(hub, world.alpha[who], 'GET', path)
        expect(status, path).toBeLessThan(500)
        expect(text, `${path} as ${who}`).not.toContain(world.bravo.id)
        expect(text, `${path} as ${who}`).not.toContain('bravo-tenant_admin@')
        expect(text, `${path} as ${who}`).not.toContain(world.bravo.key.id)
        if (text.includes(world.alpha.id)) seenOwn++
      }
    }
    expect(seenOwn).toBeGreaterThan(5)
  })
})
