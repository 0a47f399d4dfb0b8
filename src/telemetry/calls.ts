/** The door for a process that only answers calls: its metrics are sampled elsewhere, its log follows the others' levels. */
export { createLevels } from './logs/levels.ts'
