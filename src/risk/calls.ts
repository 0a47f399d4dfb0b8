/** The door for a process that only answers calls: it holds what actions leave to keys, and judges nobody. */
export { createInForce, type InForce } from './in-force.ts'
