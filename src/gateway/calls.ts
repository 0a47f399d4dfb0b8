/** The door for a process that only answers calls: the gateway without the routes, and their schemas, by which people set it up. */
export { openSyntheticProviders } from './control/synthetic.ts'
export { createCallGateway } from './gateway.ts'
