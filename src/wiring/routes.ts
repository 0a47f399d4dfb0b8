import type { Roles } from '../http/roles.ts'
import type { Route } from '../http/route.ts'

type Routed = { routes: readonly Route[] }

/** Rooms by whose part of the work their routes are; usage and services answer in two. */
export type RoutedRooms = {
  core: readonly Routed[]
  usage: Routed
  services: Routed
  serviceProxy: Routed
  health: Routed
}

/** What a process of these roles answers, and every one how it is. */
export function routesOf({ core, usage, services, serviceProxy, health }: RoutedRooms, roles: Roles): Route[] {
  const all = {
    core: [...core.flatMap(({ routes }) => routes), ...usage.routes.filter(({ path }) => !isRegistry(path))],
    registry: [...services.routes, ...usage.routes.filter(({ path }) => isRegistry(path))],
    gateway: [
      ...serviceProxy.routes,
      // Answered with the others by a process that has both.
      ...services.routes.filter(({ path }) => isBelowGateway(path) && !roles.has('registry')),
    ],
  }
  return [
    ...(roles.has('core') ? all.core : []),
    ...(roles.has('registry') ? all.registry : []),
    ...(roles.has('gateway') ? all.gateway : []),
    ...health.routes,
  ]
}

/** What plugins are told of themselves, where they registered. */
function isRegistry(path: string): boolean {
  return path.startsWith('/api/registry/')
}

/** Seed 002's `/gateway/services`, which its gateway answers. */
function isBelowGateway(path: string): boolean {
  return path.startsWith('/gateway/')
}
