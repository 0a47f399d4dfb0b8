/** The door for a process that only answers calls: listens to them, without the routes by which people read what was said. */
export { createCallConversations } from './capturing.ts'
export { addToSessions } from './store.ts'
