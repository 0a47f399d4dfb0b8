/** The door for a process that only answers calls: who calls, without the routes, and their schemas, for people and keys. */
export { createCallIdentity } from './identity.ts'
