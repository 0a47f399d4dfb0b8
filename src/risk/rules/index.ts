import { bigRequest } from './big-request.ts'
import { budgetRunway } from './budget-runway.ts'
import { burst } from './burst.ts'
import { costSpike } from './cost-spike.ts'
import { errorStreak } from './error-streak.ts'
import { ipManyUsers } from './ip-many-users.ts'
import { keyProbing } from './key-probing.ts'
import { multiUserToken } from './multi-user-token.ts'
import { newNetwork } from './new-network.ts'
import { oddHours } from './odd-hours.ts'
import type { Rule } from './rule.ts'
import { sharedKey } from './shared-key.ts'
import { slowLeak } from './slow-leak.ts'

/** Every rule there is, seed 000's four first. */
export const rules: readonly Rule[] = [
  burst,
  multiUserToken,
  ipManyUsers,
  bigRequest,
  sharedKey,
  costSpike,
  slowLeak,
  errorStreak,
  keyProbing,
  oddHours,
  newNetwork,
  budgetRunway,
]
