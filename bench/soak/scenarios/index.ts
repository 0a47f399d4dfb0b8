/** The shelf of what `npm run soak` runs, in order. */
import { beatingServices } from './beating-services.ts'
import { idle } from './idle.ts'
import { largeBodies } from './large-bodies.ts'
import { passingBodies } from './passing-bodies.ts'
import type { Scenario } from './scenario.ts'
import { slowStreams } from './slow-streams.ts'

export const scenarios: readonly Scenario[] = [idle, slowStreams, largeBodies, passingBodies, beatingServices]

export type { Finding, Ground, Scenario } from './scenario.ts'
