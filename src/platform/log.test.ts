import { describe, expect, test } from 'vitest'
import { createManualClock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { readLevel } from './log/levels.ts'
import { createLog, type LogFields, type LogOptions } from './log.ts'
import { createScrubber } from './scrub.ts'

function open(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const stream = { write: (line: string) => lines.push(line) }
  const log = createLog({ level: 'info', format: 'json', stream, ...options })
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) }
}

describe('a line of JSON', () => {
  test('says when in UTC, how bad, what and where, and nothing of pid or host', () => {
    const { log, last } = open()
    log.child({ room: 'gateway' }).warn('A provider is slow', { provider: 'prv_1', durationMs: 1200, status: 200 })
    expect(last()).toEqual({
      level: 'WARNING',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      module: 'gateway',
      provider: 'prv_1',
      duration_ms: 1200,
      status: 200,
      msg: 'A provider is slow',
    })
  })

  test('holds no field that is not listed, whatever a caller passes', () => {
    const { log, lines, last } = open()
    log.info('x', { body: 'my diary', headers: { cookie: 'c00kie' }, msg: 'forged', level: 'forged' } as LogFields)
    expect(last()).toMatchObject({ body: '[not listed]', headers: '[not listed]', msg: 'x', level: 'INFO' })
    expect(lines.join()).not.toMatch(/diary|c00kie|forged/)
  })

  test('holds no object where a text belongs', () => {
    const { log, last } = open()
    log.info('x', { cause: { apiKey: 'abc' } } as unknown as LogFields)
    expect(last().cause).toBe('[not text]')
  })

  test('holds no query of a path', () => {
    const { log, last } = open()
    log.info('x', { path: '/v1beta/models?key=abc' })
    expect(last().path).toBe('/v1beta/models')
  })

  test('holds no credential in message, fields or children', () => {
    const scrubber = createScrubber()
    scrubber.add('odd-provider-secret')
    const { log, lines } = open({ scrubber })
    log.child({ address: 'redis://:hunter22@h' }).info('sk-ant-abcdefghijk', { cause: 'said odd-provider-secret' })
    expect(lines.join()).not.toMatch(/hunter22|abcdefghijk|odd-provider-secret/)
  })

  test('holds the set-up token, the one secret it is made for', () => {
    const { log, last } = open()
    log.info('Claim this hub', { setupToken: 'sk-gh-0123456789abcdef' })
    expect(last().setup_token).toBe('sk-gh-0123456789abcdef')
  })

  test('is never longer than a log line should be, and a secret at the cut is still masked', () => {
    const scrubber = createScrubber()
    scrubber.add('odd-provider-secret')
    const { log, lines, last } = open({ scrubber })
    log.info(`${'a'.repeat(8185)}odd-provider-secret${'b'.repeat(100_000)}`)
    expect(last().msg.length).toBe(8192)
    expect(lines.join()).not.toContain('odd-pro')
  })
})

describe('an error', () => {
  test('is told with its code, detail, stack and causes, all scrubbed', () => {
    const { log, lines, last } = open()
    const socket = Object.assign(new Error('connect postgres://u:hunter22@db'), { code: 'ECONNREFUSED' })
    log.error('The store is away', {
      error: fail('unavailable', 'No store', { detail: 'Bearer abcdefghijk', cause: socket }),
    })
    expect(last().err).toMatchObject({
      name: 'HubError',
      message: 'No store',
      code: 'unavailable',
      detail: 'Bearer [masked]',
      stack: expect.stringContaining('log.test.ts'),
      cause: { message: 'connect postgres://u:[masked]@db', code: 'ECONNREFUSED' },
    })
    expect(lines.join()).not.toContain('hunter22')
  })

  test('that is none, or that causes itself, is told too', () => {
    const { log, last } = open()
    log.error('x', { error: 'just a text with sk-abcdefghijk' })
    expect(last().err).toEqual({ name: 'string', message: 'just a text with sk-[masked]' })
    const circular = new Error('round')
    circular.cause = circular
    log.error('x', { error: circular })
    expect(last().err.cause.message).toBe('round')
  })

  test('of several is told one by one', () => {
    const { log, last } = open()
    log.error('x', { error: new AggregateError([new Error('v4'), new Error('v6')], 'both') })
    expect(last().err.errors.map((each: Error) => each.message)).toEqual(['v4', 'v6'])
  })
})

describe('the level', () => {
  test('holds back what is less important', () => {
    const { log, lines } = open({ level: 'warn' })
    log.info('no')
    log.warn('yes')
    expect(lines).toHaveLength(1)
  })

  test('changes at once, for children too', () => {
    const { log, lines } = open({ level: 'error' })
    const child = log.child({ room: 'usage' })
    child.debug('no')
    log.setLevel('*', 'debug')
    child.debug('yes')
    expect(lines).toHaveLength(1)
    log.setLevel('*', null)
    child.debug('no')
    expect(lines).toHaveLength(1)
  })
})

test('text for a terminal is one line, with nothing that drives the terminal or forges a line', () => {
  const { log, lines } = open({ format: 'text' })
  log.info('model \u001b[31mred\u001b[0m\n[2026-01-01] INFO: forged', { room: 'gateway' })
  expect(lines).toHaveLength(1)
  expect(lines[0]!.trimEnd().split('\n')).toHaveLength(1)
  expect(lines[0]).not.toContain('\u001b[31m')
  expect(lines[0]).toContain('INFO')
  expect(lines[0]).toContain('gateway')
})

describe('levels of modules', () => {
  test('are those of the settings, and can be changed for one module alone while children write', () => {
    const { log, lines } = open({ level: 'warn', levels: new Map([['risk', 'debug']]) })
    const [risk, usage] = [log.child({ room: 'risk' }), log.child({ room: 'usage' })]
    risk.debug('yes')
    usage.info('no')
    log.setLevel('usage', 'debug')
    usage.debug('yes')
    log.setLevel('*', 'critical')
    log.error('no')
    // What was asked for one is more than what was asked for all.
    usage.debug('yes')
    log.setLevel('*', null)
    log.setLevel('usage', null)
    usage.info('no')
    log.critical('yes')
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['yes', 'yes', 'yes', 'yes'])
    expect(log.levels()).toEqual([
      { module: '*', level: 'warn', configured: 'warn' },
      { module: 'hub', level: 'warn', configured: 'warn' },
      { module: 'risk', level: 'debug', configured: 'debug' },
      { module: 'usage', level: 'warn', configured: 'warn' },
    ])
  })

  test.each([
    ['WARNING', 'warn'],
    ['Critical', 'critical'],
    ['fatal', 'critical'],
    ['trace', 'debug'],
    [' info ', 'info'],
    ['loud', null],
  ])('%s is read as Python and pino write it', (text, level) => {
    expect(readLevel(text)).toBe(level)
  })
})

describe('a flood', () => {
  test('of the same line is cut, other lines are not, and how many were left out is told', async () => {
    const clock = createManualClock()
    const { log, lines } = open({ floodPerSecond: 3, clock })
    for (let i = 0; i < 1000; i++) log.warn(`The provider "p${i}" answered ${500 + (i % 3)} to req_${i}`)
    log.warn('Something else')
    log.child({ room: 'usage' }).warn('The provider "p1" answered 500 to req_1')
    expect(lines).toHaveLength(5)
    await clock.advance(1000)
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({
      level: 'WARNING',
      module: 'hub',
      suppressed: 997,
      msg: expect.stringMatching(/^997 more lines like this were not written: The provider "p0" answered 500/),
    })
    log.warn('The provider "p1" answered 500 to req_1')
    expect(lines).toHaveLength(7)
    expect(log.counts().find(({ module }) => module === 'hub')).toMatchObject({ suppressed: 997 })
  })

  test('of lines that are all different is bounded too, and the memory it takes', () => {
    const { log, lines } = open({ floodPerSecond: 1, clock: createManualClock() })
    const name = (i: number) => [...String(i)].map((digit) => 'abcdefghij'[Number(digit)]).join('')
    for (let i = 0; i < 20_000; i++) log.warn(`A message of its own: ${name(i)}`)
    expect(lines.length).toBeLessThan(1100)
  })

  test('is no concern of lines of requests and calls', () => {
    const { log, lines } = open({ floodPerSecond: 3, showsRequests: true })
    const access = log.lines('access')
    for (let i = 0; i < 100; i++) access.write('info', 'request ended', ',"status":200')
    expect(lines).toHaveLength(100)
  })
})

describe('lines of requests', () => {
  test('hold no secret, and nothing that forges a line, however often the same text came before it was one', () => {
    const { log, lines, last } = open({ showsRequests: true })
    const access = log.lines('access')
    const write = (path: string) => access.write('info', 'request ended', `,"path":${access.quote(path)}`)
    write('/a/odd-provider-secret')
    log.scrubber.add('odd-provider-secret')
    write('/a/odd-provider-secret')
    expect(last().path).toBe('/a/[masked]')
    write('/v1/models/sk-gh-0123456789abcdef')
    write('/x"\n{"level":"CRITICAL"}\u001b[31m\u2028')
    expect(last().path).toContain('"\n{')
    expect(lines.slice(1).join('')).not.toMatch(/0123456789abcdef|odd-provider/)
    expect(lines.every((line) => line.trimEnd().split(/[\n\u2028\u001b]/).length === 1)).toBe(true)
  })
})
