import { createHash } from 'node:crypto'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { engines } from '../../src/platform/database/testing.ts'
import type { VendorName } from '../fake-providers/index.ts'
import { until } from '../harness/control.ts'
import { type Json, openStage, type Stage } from './stage.ts'

const password = 'a password of its own'

describe.each(engines())('conversations on $name', ({ address }) => {
  let stage: Stage
  let number = 0

  beforeAll(async () => {
    stage = await openStage({ 'database.url': await address(), 'conversations.max_call_bytes': 20_000 })
  })
  afterAll(() => stage?.close())

  type Person = { id: string; token: string; key: string; keyId: string; tenant: string }

  async function tenant(): Promise<string> {
    return (await stage.hub.admin('POST', '/api/tenants', { name: `talkers-${++number}` })).id
  }

  async function person(tenantId: string, role = 'user'): Promise<Person> {
    const login = { email: `talker-${++number}@example.com`, password }
    const { id } = await stage.hub.admin('POST', '/api/users', { ...login, name: 'x', role, tenant_id: tenantId })
    const { access_token: token } = await stage.hub.admin('POST', '/api/auth/login', login)
    const made = (await api(token, 'POST', '/api/keys', { name: `key ${number}` })).json
    return { id, token, key: made.key, keyId: made.id, tenant: tenantId }
  }

  async function talker(choice: Json | null = { messages: true }): Promise<Person> {
    const id = await tenant()
    if (choice !== null) await stage.hub.admin('PUT', `/api/conversation-settings/tenants/${id}`, choice)
    return await person(id)
  }

  async function api(token: string, method: string, path: string, body?: Json) {
    const answer = await fetch(stage.hub.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.includes('json') ?? false
    return { status: answer.status, text, json: (isJson ? JSON.parse(text) : {}) as Json }
  }

  const sessionsOf = async ({ token }: Person): Promise<Json[]> => (await api(token, 'GET', '/api/sessions')).json.data

  async function session(who: Person, sessionId: string, calls = 1): Promise<Json> {
    let found: Json | undefined
    await until(`${sessionId} has ${calls} calls`, async () => {
      found = (await sessionsOf(who)).find((one) => one.session_id === sessionId)
      return found?.calls === calls
    })
    return found!
  }

  async function messages(who: Person, id: string, count: number): Promise<Json[]> {
    let data: Json[] = []
    await until(`${count} messages are kept`, async () => {
      data = (await api(who.token, 'GET', `/api/sessions/${id}/messages`)).json.data ?? []
      return data.length >= count
    })
    return data
  }

  const counted = async (result: string): Promise<number> => {
    const response = await fetch(`${stage.hub.url}/metrics`, { headers: { 'x-admin-key': stage.hub.adminKey } })
    const line = `gatehouse_conversations_calls_total{result="${result}"}`
    return Number(
      (await response.text())
        .split('\n')
        .find((text) => text.startsWith(line))
        ?.split(' ')[1] ?? 0,
    )
  }

  const say = (who: Person, model: string, text: string, sessionId: string, more: Json = {}) =>
    stage.ask(
      { model, messages: [{ role: 'user', content: text }], ...more },
      { apiKey: who.key, headers: { 'x-session-id': sessionId } },
    )

  test('nothing that is said is kept unless somebody chose so: calls are counted in their session and that is all', async () => {
    const { model } = await stage.shared('openai')
    const who = await talker(null)
    await say(who, model, 'my secret plan', 'quiet')
    await say(who, model, 'and more of it', 'quiet', { stream: true })
    await stage.ask({ model }, { apiKey: who.key })
    const found = await session(who, 'quiet', 2)
    expect(found).toMatchObject({ tenant_id: who.tenant, user_id: who.id, key_id: who.keyId, model, failures: 0 })
    expect(found.tokens_in).toBeGreaterThan(0)
    expect(await sessionsOf(who)).toHaveLength(1)
    expect((await api(who.token, 'GET', `/api/sessions/${found.id}/messages`)).json.data).toEqual([])
  })

  test.each([
    ['openai', '/v1/chat/completions', (text: string) => ({ messages: [{ role: 'user', content: text }] })],
    ['anthropic', '/v1/messages', (text: string) => ({ max_tokens: 50, messages: [{ role: 'user', content: text }] })],
    ['openai', '/v1/responses', (text: string) => ({ input: text, messages: undefined })],
    ['openai', '/v1/completions', (text: string) => ({ prompt: text, messages: undefined })],
  ] as [VendorName, string, (text: string) => Json][])(
    '%s %s: what was asked and answered is kept, whole and streamed',
    async (kind, path, bodyOf) => {
      const { model } = await stage.shared(kind, { answer: { text: 'Sunny all day.' } })
      const who = await talker()
      for (const stream of [false, true]) {
        const ask = { model, stream, ...bodyOf(`Weather ${stream}?`) }
        const reply = await stage.ask(ask, { path, apiKey: who.key, headers: { 'x-conversation-id': 'weather' } })
        expect(reply.status).toBe(200)
        const { id } = await session(who, 'weather', stream ? 2 : 1)
        const said = await messages(who, id, stream ? 4 : 2)
        expect(said.slice(-2)).toMatchObject([
          { role: 'user', content: `Weather ${stream}?`, is_from_user: true },
          { role: 'assistant', content: 'Sunny all day.', is_from_bot: true, user_id: who.id },
        ])
      }
    },
  )

  test('gemini as an array that comes piece by piece is kept like any other answer', async () => {
    const { model } = await stage.shared('gemini', { answer: { text: 'Piece by piece.' } })
    const who = await talker()
    const body = { contents: [{ role: 'user', parts: [{ text: 'Hello' }] }], messages: undefined }
    const path = `/v1beta/models/${model}:streamGenerateContent`
    await stage.ask(body, { path, apiKey: who.key, headers: { 'x-session-id': 'array' } })
    const { id } = await session(who, 'array')
    expect(await messages(who, id, 2)).toMatchObject([{ content: 'Hello' }, { content: 'Piece by piece.' }])
  })

  test('callers name their session in a header, in metadata, or as Claude Code does', async () => {
    const { model } = await stage.shared('openai')
    const { model: claude } = await stage.shared('anthropic')
    const who = await talker()
    await stage.ask({ model, metadata: { session_id: 'by metadata é' } }, { apiKey: who.key })
    const user_id = 'user_0a1b_account_2c3d_session_4e5f-6071'
    const path = '/v1/messages'
    await stage.ask({ model: claude, max_tokens: 9, metadata: { user_id } }, { path, apiKey: who.key })
    const json = JSON.stringify({ device_id: 'd', session_id: 'in-json' })
    await stage.ask({ model: claude, max_tokens: 9, metadata: { user_id: json } }, { path, apiKey: who.key })
    for (const name of ['by metadata é', '4e5f-6071', 'in-json']) await session(who, name)
  })

  test.each([{ type: 'openai' }, { type: 'openai-compatible' }])(
    'a chain of responses at $type is one session, named after its first',
    async ({ type }) => {
      const fake = await stage.upstream('openai', { answer: { text: 'One.' } })
      const model = await stage.serve(fake, { provider: { type } })
      const who = await talker()
      const respond = async (input: string, previous?: string) =>
        (
          await stage.ask(
            { model, input, messages: undefined, ...(previous && { previous_response_id: previous }) },
            { path: '/v1/responses', apiKey: who.key },
          )
        ).json.id as string
      const first = await respond('first')
      const second = await respond('second', first)
      await respond('third', second)
      const { id } = await session(who, first, 3)
      expect(await sessionsOf(who)).toHaveLength(1)
      const said = (await messages(who, id, 6)).filter(({ role }) => role === 'user')
      expect(said.map(({ content }) => content)).toEqual(['first', 'second', 'third'])
    },
  )

  test('of a conversation that callers repeat, each thing is kept once; tool calls and their results are in it', async () => {
    const fake = await stage.upstream('openai', { answer: { text: 'It is 20°.' } })
    const model = await stage.serve(fake)
    const who = await talker()
    const call = { id: 'c1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }
    const history = [
      { role: 'system', content: 'You are terse.' },
      { role: 'user', content: 'Weather?' },
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'c1', content: '20' },
    ]
    await say(who, model, '', 'tools', { messages: history.slice(0, 2) })
    await say(who, model, '', 'tools', { messages: history })
    const { id } = await session(who, 'tools', 2)
    const said = await messages(who, id, 4)
    expect(said.map(({ role, content }) => `${role}: ${content}`)).toEqual([
      'user: Weather?',
      'assistant: It is 20°.',
      'tool: 20',
      'assistant: It is 20°.',
    ])
  })

  test('not a byte of an answer is another where it is kept', async () => {
    const fake = await stage.upstream('openai', { answer: { text: 'The same bytes, whoever listens.' } })
    const model = await stage.serve(fake)
    const [heard, unheard] = [await talker(), await talker(null)]
    for (const stream of [false, true]) {
      const plain = (reply: { text: string }) => reply.text.replace(/"(id|created)":("[^"]*"|\d+)/g, '')
      const [one, other] = [
        await say(heard, model, 'Hello', 'bytes', { stream }),
        await say(unheard, model, 'Hello', 'bytes', { stream }),
      ]
      expect(plain(one)).toBe(plain(other))
      expect(fake.requests.at(-1)!.json).toEqual(fake.requests.at(-2)!.json)
    }
  })

  test('an answer that broke off is kept as far as it came', async () => {
    const fake = await stage.upstream('openai', {
      cut: { at: 5, how: 'close' },
      answer: { text: 'Once upon a time there was. '.repeat(4) },
    })
    const model = await stage.serve(fake)
    const who = await talker()
    await say(who, model, 'A tale?', 'cut', { stream: true })
    const found = await session(who, 'cut')
    expect(found.failures).toBe(1)
    const [asked, answered] = await messages(who, found.id, 2)
    expect(asked!.content).toBe('A tale?')
    expect('Once upon a time there was. '.repeat(4).startsWith(answered!.content)).toBe(true)
  })

  test('secrets are taken out before anything is kept, as the hub, the tenant and the key say', async () => {
    const { model } = await stage.shared('openai', { answer: { text: 'Write to bob@example.com.' } })
    const who = await talker({ messages: true, words: ['Bluebird'] })
    await say(
      who,
      model,
      'I am ada@example.com, +86 138 0013 8000, 11010519491231002X, sk-abcdefghijklmnop1234, of project BLUEBIRD',
      'redacted',
    )
    const { id } = await session(who, 'redacted')
    const said = await messages(who, id, 2)
    expect(said.map(({ content }) => content)).toEqual([
      'I am [email], [phone], [id_card], [api_key], of project [word]',
      'Write to [email].',
    ])
    await stage.hub.admin('PUT', `/api/conversation-settings/keys/${who.keyId}`, { messages: true, redact: [] })
    await say(who, model, 'I am ada@example.com of Bluebird', 'plain')
    const plain = await session(who, 'plain')
    expect((await messages(who, plain.id, 2))[0]!.content).toBe('I am ada@example.com of Bluebird')
    await stage.hub.admin('PUT', `/api/conversation-settings/keys/${who.keyId}`, { messages: false })
    await say(who, model, 'not kept', 'off')
    const off = await session(who, 'off')
    expect((await api(who.token, 'GET', `/api/sessions/${off.id}/messages`)).json.data).toEqual([])
    await stage.hub.admin('DELETE', `/api/conversation-settings/keys/${who.keyId}`)
    await say(who, model, 'kept again', 'on')
    await messages(who, (await session(who, 'on')).id, 2)
  })

  test('a call that is too large is not kept, is answered all the same, and is counted', async () => {
    const { model } = await stage.shared('openai')
    const who = await talker()
    const before = await counted('too_large')
    expect((await say(who, model, 'x'.repeat(30_000), 'large')).status).toBe(200)
    await until('it was counted', async () => (await counted('too_large')) === before + 1)
  })

  test('a deleted session is proved deleted: a signed receipt over what there was, kept, audited, and nothing left', async () => {
    const { model } = await stage.shared('openai', { answer: { text: 'Yes.' } })
    const who = await talker()
    for (const text of ['one', 'two', 'three']) await say(who, model, text, 'gone')
    const { id } = await session(who, 'gone', 3)
    const copy = await messages(who, id, 6)
    const deleted = await api(who.token, 'DELETE', `/api/sessions/${id}`)
    expect(deleted, deleted.text).toMatchObject({ status: 200 })
    const receipt = deleted.json
    expect(receipt).toMatchObject({ state: 'done', sessions: 1, messages: 6, session_id: id, user_id: who.id })

    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
    const digest = copy.reduce((so, message) => sha256(`${so}${message.id}:${message.digest}`), sha256(''))
    expect(receipt.digest).toBe(`sha256:${digest}`)
    const [asked] = copy
    const part = (text: string) => `${Buffer.byteLength(text)}:${text}`
    expect(asked!.digest).toBe(sha256([asked!.role, asked!.content, ''].map(part).join('')))
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', stage.hub.url))
    const { payload } = await jwtVerify(receipt.signature, keys, { typ: 'deletion-receipt+jwt', issuer: 'gatehouse' })
    expect(payload).toMatchObject({ jti: receipt.id, messages: 6, digest: receipt.digest, session: id, owner: who.id })

    expect((await api(who.token, 'GET', `/api/sessions/${id}`)).status).toBe(404)
    expect((await api(who.token, 'GET', `/api/sessions/${id}/messages`)).status).toBe(404)
    expect((await api(who.token, 'DELETE', `/api/sessions/${id}`)).status).toBe(404)
    expect((await api(who.token, 'GET', `/api/deletion-receipts/${receipt.id}`)).json).toEqual(receipt)
    expect((await api(who.token, 'GET', '/api/deletion-receipts')).json.data).toEqual([receipt])
    const { data } = await stage.hub.admin('GET', '/api/audit?action=sessions.delete')
    const written = data.find(({ target, status }: Json) => target === id && status === 200)
    expect(written).toMatchObject({ before: { id }, after: { id: receipt.id, messages: 6 } })
    expect(JSON.stringify(written)).not.toContain('gone')

    await say(who, model, 'anew', 'gone')
    const again = await session(who, 'gone', 1)
    expect((await messages(who, again.id, 2)).map(({ content }) => content)).toEqual(['anew', 'Yes.'])
  })

  test('a person deletes all that is theirs, an administrator what is of the tenant, and nobody anything else', async () => {
    const { model } = await stage.shared('openai', { answer: { text: 'Yes.' } })
    const who = await talker()
    const [boss, other, stranger] = [await person(who.tenant, 'tenant_admin'), await person(who.tenant), await talker()]
    for (const one of [who, other, stranger]) {
      await say(one, model, 'one', 'a')
      await say(one, model, 'two', 'b')
      await messages(one, (await session(one, 'a')).id, 2)
      await messages(one, (await session(one, 'b')).id, 2)
    }
    for (const id of [stranger.id, other.id, 'usr_never']) {
      expect((await api(who.token, 'DELETE', `/api/users/${id}/conversations`)).status).toBe(404)
    }
    expect((await api(boss.token, 'DELETE', `/api/users/${stranger.id}/conversations`)).status).toBe(404)
    expect((await api(who.token, 'DELETE', '/api/users/me/conversations')).json).toMatchObject({
      sessions: 2,
      messages: 4,
    })
    expect(await sessionsOf(who)).toEqual([])
    expect((await api(boss.token, 'DELETE', `/api/users/${other.id}/conversations`)).json).toMatchObject({
      messages: 4,
    })
    expect(await sessionsOf(stranger)).toHaveLength(2)
  })

  test('people see their own, administrators their tenant, and pages go through all of it once', async () => {
    const { model } = await stage.shared('openai')
    const who = await talker()
    const boss = await person(who.tenant, 'tenant_admin')
    const other = await person(who.tenant)
    for (let i = 0; i < 5; i++) await say(i % 2 === 0 ? who : other, model, 'hi', `page ${i}`)
    await until('all are there', async () => (await sessionsOf(boss)).length === 5)
    expect(await sessionsOf(who)).toHaveLength(3)
    const seen: string[] = []
    let cursor = ''
    do {
      const page = (await api(boss.token, 'GET', `/api/sessions?limit=2${cursor}`)).json
      seen.push(...page.data.map((one: Json) => one.session_id))
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`
    } while (cursor !== '')
    expect(seen).toEqual(['page 4', 'page 3', 'page 2', 'page 1', 'page 0'])
    const mine = (await api(who.token, 'GET', `/api/sessions?user_id=${other.id}`)).json
    expect(mine.data).toEqual([])
    const named = (await api(boss.token, 'GET', '/api/sessions?session_id=page%203')).json
    expect(named.data).toHaveLength(1)
  })

  test('a session reads as Markdown, and one person’s words are found in their own messages alone', async () => {
    const { model } = await stage.shared('openai', { answer: { text: 'Marmalade it is.' } })
    const who = await talker()
    const boss = await person(who.tenant, 'tenant_admin')
    await say(who, model, 'What jam?', 'jam')
    const { id } = await session(who, 'jam')
    await messages(who, id, 2)
    const { text } = await api(who.token, 'GET', `/api/sessions/${id}/messages?format=markdown`)
    expect(text).toMatch(/^# jam\n\n## user · [^\n]+\n\nWhat jam\?\n\n## assistant · [^\n]+\n\nMarmalade it is\.\n$/)
    const found = (await api(who.token, 'GET', '/api/sessions/search?q=MARMALADE')).json
    expect(found).toMatchObject({ data: [{ content: 'Marmalade it is.' }], is_complete: true })
    const path = `/api/sessions/search?q=marmalade&user_id=${who.id}`
    expect((await api(boss.token, 'GET', path)).json.data).toHaveLength(1)
    expect((await api((await talker()).token, 'GET', path)).status).toBe(404)
  })
})
