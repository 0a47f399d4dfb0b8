/**
 * Plugin services: who is there, where, and how they are. A plugin registers with a token of an administrator and beats
 * with its own; nodes ask its health path, judge its silence, and keep a table in memory that calls are routed by. Not
 * here: who calls and with what right (identity), what calls to models cost (usage).
 */
import type { Route } from '../http/route.ts'
import type { ServicesConfig } from './config.ts'
import { type CallServices, createCallServices, type ServicesOptions } from './known.ts'
import { registryRoutes } from './routes.ts'

export type { ServicesConfig } from './config.ts'
export { type Directory, type DirectoryService, downDependencies, instanceStandings } from './directory.ts'
export { contractNames } from './reserved-names.ts'
export type { ServicesTables } from './store.ts'
export { openSyntheticServices } from './synthetic.ts'

export type Services = CallServices & { routes: Route[] }
export type { ServicesOptions } from './known.ts'

export function createServices(options: ServicesOptions, config: ServicesConfig): Services {
  const services = createCallServices(options, config)
  return { ...services, routes: registryRoutes(services.control) }
}
