/** What one process can do of the hub's work; the default is all of it. */
export const serverRoles = ['gateway', 'registry', 'core', 'worker', 'console'] as const
export type ServerRole = (typeof serverRoles)[number]

/**
 * `gateway` answers calls to models and to plugin services, `registry` keeps the list of plugin services, `core` is the
 * control API, `worker` does what one node does for all, `console` is the page for browsers.
 */
export function createRoles(roles: readonly ServerRole[]) {
  const own = new Set(roles)
  const isWhole = serverRoles.every((role) => own.has(role))
  const names = serverRoles.filter((role) => own.has(role))
  return {
    has: (role: ServerRole) => own.has(role),
    isWhole,
    /** Joined in one order, however they were written: it names folders that must be found again. */
    name: names.join('-'),
    /** What `GET /` calls this process. */
    serviceName: isWhole ? 'gatehouse' : `gatehouse-${names.join('-')}`,
  }
}
export type Roles = ReturnType<typeof createRoles>
