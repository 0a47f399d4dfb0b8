import type { Action } from './action.ts'
import { collectorRestart } from './collector-restart.ts'
import { keyOff } from './key-off.ts'
import { keyThrottle } from './key-throttle.ts'
import { providerOff } from './provider-off.ts'
import { settingsBack } from './settings-back.ts'

/** Every remedy the hub can do itself. */
export const actions: readonly Action[] = [providerOff, keyThrottle, keyOff, collectorRestart, settingsBack]
