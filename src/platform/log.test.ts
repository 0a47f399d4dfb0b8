import { describe, expect, test } from 'vitest'
import { fail } from '../kernel/errors.ts'
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
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      room: 'gateway',
      provider: 'prv_1',
      durationMs: 1200,
      status: 200,
      message: 'A provider is slow',
    })
  })

  test('holds no field that is not listed, whatever a caller passes', () => {
    const { log, lines, last } = open()
    log.info('x', { body: 'my diary', headers: { cookie: 'c00kie' }, message: 'forged', level: 'forged' } as LogFields)
    expect(last()).toMatchObject({ body: '[not listed]', headers: '[not listed]', message: 'x', level: 'info' })
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
    expect(last().setupToken).toBe('sk-gh-0123456789abcdef')
  })

  test('is never longer than a log line should be, and a secret at the cut is still masked', () => {
    const scrubber = createScrubber()
    scrubber.add('odd-provider-secret')
    const { log, lines, last } = open({ scrubber })
    log.info(`${'a'.repeat(8185)}odd-provider-secret${'b'.repeat(100_000)}`)
    expect(last().message.length).toBe(8192)
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
    expect(last().error).toMatchObject({
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
    expect(last().error).toEqual({ name: 'string', message: 'just a text with sk-[masked]' })
    const circular = new Error('round')
    circular.cause = circular
    log.error('x', { error: circular })
    expect(last().error.cause.message).toBe('round')
  })

  test('of several is told one by one', () => {
    const { log, last } = open()
    log.error('x', { error: new AggregateError([new Error('v4'), new Error('v6')], 'both') })
    expect(last().error.errors.map((each: Error) => each.message)).toEqual(['v4', 'v6'])
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
    log.setLevel('debug')
    child.debug('yes')
    expect(log.level()).toBe('debug')
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
