/** The door for a process that only answers calls: how this hub itself is. The checks people configure are asked elsewhere. */
export { createHealth, type Health } from './own.ts'
