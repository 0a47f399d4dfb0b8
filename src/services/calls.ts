/** The door for a process that only answers calls: which plugins there are and the way to them, without the registry's routes. */
export { createCallServices } from './known.ts'
export { createServiceProxy } from './proxy/index.ts'
export { contractNames } from './reserved-names.ts'
export { openSyntheticServices } from './synthetic.ts'
