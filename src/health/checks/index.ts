import type { Check } from '../check.ts'
import { aiServiceCheck } from './ai-service.ts'
import { databaseCheck } from './database.ts'
import { diskCheck } from './disk.ts'
import { eventLoopCheck } from './event-loop.ts'
import { ledgerCheck } from './ledger.ts'
import { redisCheck } from './redis.ts'

/** Every check there is, in the order of `/health`. */
export const checks: readonly Check[] = [
  databaseCheck,
  redisCheck,
  aiServiceCheck,
  ledgerCheck,
  diskCheck,
  eventLoopCheck,
]
