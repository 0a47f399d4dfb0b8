import { afterAll, describe } from 'vitest'
import type { Log } from './log.ts'
import { openRedis, type Redis } from './redis.ts'

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, critical() {}, child: () => silentLog }

/** The Redis of this test run; '' when there is none. */
export const redisUrl = process.env.GATEHOUSE_TEST_REDIS_URL ?? ''

/** `describe` for what needs a real Redis; listed as skipped without one. */
export const describeWithRedis = redisUrl === '' ? describe.skip : describe

/** Call it at the top of a test file: returns the verb that gives the file's connection, ready for use. */
export function connectTestRedis(): () => Promise<Redis> {
  let redis: Redis | null = null
  afterAll(() => redis?.disconnect())
  return async () => {
    redis ??= openRedis(redisUrl, silentLog)
    if (redis.status !== 'ready') await new Promise((resolve) => redis!.once('ready', resolve))
    return redis
  }
}
