import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Behaviour, defaultText, type Framing } from '../fake-providers/index.ts'
import { openStage, type Reply, type Stage, serveBytes, vendors } from './stage.ts'

let stage: Stage

beforeAll(async () => {
  stage = await openStage()
})

afterAll(() => stage?.close())

function expectWhole(reply: Reply): void {
  expect(reply).toMatchObject({ status: 200, content: defaultText, finish: 'stop', isDone: true })
}

/** Content came, then the failure: it is told in band, and nothing claims that the answer is whole. */
function expectCut(reply: Reply, content = 'Hell'): void {
  expect(reply.status).toBe(200)
  expect(reply.content).toBe(content)
  expect(reply).toMatchObject({ finish: null, isDone: false })
  expect(reply.text).not.toContain('[DONE]')
  expect(Object.keys(reply.events.at(-1)!.error).sort()).toEqual(['code', 'message', 'param', 'type'])
}

describe.each(vendors)('framing by %s', (vendor) => {
  test.each<[string, Behaviour]>([
    ['CR', { framing: { newline: '\r' } }],
    ['CRLF', { framing: { newline: '\r\n' } }],
    ['a byte order mark', { framing: { byteOrderMark: true } }],
    ['comments', { framing: { comments: true } }],
    ['no space after the colon', { framing: { spaceAfterColon: false } }],
    ['several data lines an event', { framing: { multilineData: true } }],
    ['everything in one write', { framing: { writes: 'whole' } }],
    ['byte by byte', { framing: { writes: 1 } }],
    ['no final blank line', { framing: { lacksFinalBlankLine: true } }],
    [
      'all of it at once, three bytes a write',
      { framing: { newline: '\r\n', byteOrderMark: true, comments: true, multilineData: true, writes: 3 } },
    ],
    ['gzip', { encoding: 'gzip' }],
    ['brotli', { encoding: 'br' }],
    ['deflate, in pieces of 5 bytes', { encoding: 'deflate', framing: { writes: 5 } }],
  ])('5.1.1 %s arrives whole', async (_, behaviour) => {
    const { model } = await stage.shared(vendor, behaviour)
    expectWhole(await stage.ask({ model, stream: true }))
  })

  test('5.1.1 a last event without its blank line is not glued to what we end with', async () => {
    if (vendor === 'anthropic') return
    // OpenAI without [DONE], Gemini as ever: the event with the finish reason is the last.
    const framing: Framing = { lacksFinalBlankLine: true, lacksTerminator: vendor === 'openai' }
    const { model } = await stage.shared(vendor, { framing })
    expectWhole(await stage.ask({ model, stream: true }))
  })

  test('5.1.3 a whole stream ends in one [DONE] and nothing follows', async () => {
    const { model } = await stage.shared(vendor)
    const { text } = await stage.ask({ model, stream: true })
    expect(text.match(/\[DONE\]/g)).toHaveLength(1)
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  })
})

describe.each(vendors)('before the first content of %s', (vendor) => {
  const failures: [string, Behaviour][] = [
    ['an error status', { error: { status: 503 } }],
    ['200 and then an error', { error: { status: 503, httpStatus: 200, afterChunks: 0 } }],
    ['200, its opening event and then an error', { error: { status: 503, afterChunks: 1 } }],
    ['200 and then the end', { cut: { at: 0, how: 'eof' } }],
    ['200, its opening event and then a reset', { cut: { at: 1, how: 'reset' } }],
    ['a closed connection', { cut: { at: 'head', how: 'close' } }],
    ['200 and a page of HTML', { body: '<html>\n\n<p>\n\nSorry\n\n</html>', headers: { 'content-type': 'text/html' } }],
    ['200 and nothing', { body: '' }],
    ['200 and an error as JSON', { error: { status: 503, httpStatus: 200 } }],
  ]

  // Gemini's first event is content already.
  const applicable = failures.filter(([name]) => vendor !== 'gemini' || !name.includes('opening'))

  test.each(applicable)('5.1.5 %s is a real status', async (_, behaviour) => {
    const { model } = await stage.shared(vendor, behaviour)
    const reply = await stage.ask({ model, stream: true })
    expect(reply.status).toBeGreaterThanOrEqual(500)
    expect(reply.headers.get('content-type')).toBe('application/json')
    expect(Object.keys(reply.json.error).sort()).toEqual(['code', 'message', 'param', 'type'])
    expect(await stage.row(model)).toMatchObject({
      outcome: 'failure',
      status: reply.status,
      attempts: 1,
      first_token_ms: null,
    })
  })

  test.each(applicable)('5.1.5 %s makes another provider answer', async (_, behaviour) => {
    const spare = await stage.upstream()
    const model = await stage.serve([await stage.upstream(vendor, behaviour), spare])
    expectWhole(await stage.ask({ model, stream: true }))
    expect(spare.requests).toHaveLength(1)
    expect(await stage.row(model)).toMatchObject({ outcome: 'success', attempts: 2 })
  })
})

test('5.1.5 comments of a provider that is busy are no content: another one may still answer', async () => {
  const body = ': PROCESSING\n\n: PROCESSING\n\n: PROCESSING\n\ndata: {"error":{"message":"no","code":503}}\n\n'
  const slowly = { chunkDelayMs: 5, framing: { writes: 15 } }
  const busy = await stage.upstream('openai', { body, headers: { 'content-type': 'text/event-stream' }, ...slowly })
  const model = await stage.serve([busy, await stage.upstream()])
  expectWhole(await stage.ask({ model, stream: true }))
})

test('5.1.5 the opening events of two choices are no content either', async () => {
  const failing = await stage.upstream('openai', { error: { status: 500, afterChunks: 2 }, chunkDelayMs: 5 })
  const model = await stage.serve([failing, await stage.upstream()])
  expectWhole(await stage.ask({ model, stream: true, n: 2 }))
})

test('a provider that answers a stream request with a whole answer is no stream', async () => {
  const body = JSON.stringify({
    id: 'x',
    model: 'x',
    choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
  })
  const model = await stage.serve([await stage.upstream('openai', { body }), await stage.upstream()])
  expectWhole(await stage.ask({ model, stream: true }))
})

describe.each(vendors)('after the first content of %s', (vendor) => {
  // Anthropic opens with three events that hold no text, OpenAI with one, Gemini with none.
  const at = { openai: 2, anthropic: 4, gemini: 1 }[vendor]!
  const answer = { pieceLength: 4 }

  test.each<[string, Behaviour, string]>([
    ['5.1.6 an error event', { error: { status: 503, afterChunks: at } }, 'upstream'],
    ['5.1.7 a reset', { cut: { at, how: 'reset' } }, 'upstream_truncated'],
    ['5.1.7 a closed connection', { cut: { at, how: 'close' } }, 'upstream_truncated'],
    ['5.1.7 an end without terminal event', { cut: { at, how: 'eof' } }, 'upstream_truncated'],
    [
      '5.1.7 a body shorter than announced',
      { cut: { at, how: 'close' }, contentLength: 'too-long' },
      'upstream_truncated',
    ],
  ])('%s is an error in band, without [DONE] and finish_reason', async (_, behaviour, code) => {
    const spare = await stage.upstream()
    const model = await stage.serve([await stage.upstream(vendor, { answer, ...behaviour }), spare])
    expectCut(await stage.ask({ model, stream: true }))
    expect(spare.requests).toHaveLength(0)
    const row = await stage.row(model)
    expect(row).toMatchObject({ outcome: 'truncated', status: 200, finish_reason: '', attempts: 1 })
    expect(row.error_code).toContain(code)
    expect(row.first_token_ms).not.toBeNull()
  })

  test('5.1.7 tokens of a cut stream are estimated, the prompt included', async () => {
    const usage = null
    const model = await stage.serve(
      await stage.upstream(vendor, { answer: { ...answer, usage }, cut: { at, how: 'eof' } }),
    )
    await stage.ask({ model, stream: true })
    const row = await stage.row(model)
    expect(row).toMatchObject({ usage_source: 'estimated', tokens_out: 1 })
    expect(row.tokens_in).toBeGreaterThan(0)
  })

  test('5.1.7 all of the text and no terminal event is no stop', async () => {
    const text = { openai: 5, anthropic: 8, gemini: 4 }[vendor]!
    const model = await stage.serve(await stage.upstream(vendor, { cut: { at: text, how: 'eof' } }))
    expectCut(await stage.ask({ model, stream: true }), defaultText)
  })
})

test('5.1.7 a stop that Anthropic announced and did not carry out ends in an error', async () => {
  const model = await stage.serve(await stage.upstream('anthropic', { cut: { at: 9, how: 'eof' } }))
  const reply = await stage.ask({ model, stream: true })
  expect(reply.isDone).toBe(false)
  expect(reply.events.at(-1)).toMatchObject({ error: { code: 'upstream_truncated' } })
  expect(await stage.row(model)).toMatchObject({ outcome: 'truncated', finish_reason: '' })
})

test('5.1.7 one choice of two that finished is no whole answer', async () => {
  // Opening × 2, one piece × 2, finish of the first, and no more.
  const cut = { at: 5, how: 'eof' } as const
  const model = await stage.serve(await stage.upstream('openai', { answer: { text: 'Hi' }, cut }))
  const reply = await stage.ask({ model, stream: true, n: 2 })
  expect(reply.isDone).toBe(false)
  expect(await stage.row(model)).toMatchObject({ outcome: 'truncated' })
})

test('an informational answer before the real one is passed over', async () => {
  const { baseUrl } = await serveBytes(
    'HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n' +
      'data: {"id":"x","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
  )
  await stage.hub.serve('early-hints', { type: 'openai', base_url: baseUrl, max_retries: 0 })
  const reply = await stage.ask({ model: 'early-hints', stream: true })
  expect(reply).toMatchObject({ status: 200, content: 'Hi', isDone: true })
})
