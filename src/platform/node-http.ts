/**
 * Node's own HTTP, by another way than `import`: that reads every member of a module, and one of this one's loads the whole
 * of Node's `fetch` and WebSocket, 12 MB of every process, which nobody here uses.
 */
export const http = process.getBuiltinModule('node:http')
