/** The parts of the hub that have lists and limits of their own. */
export const areas = ['llm', 'services', 'control', 'console', 'metrics', 'health'] as const
export type Area = (typeof areas)[number]

/**
 * The area of a route of the control app, by the route's own pattern and never by the path as it was sent: however a
 * caller spells it, what is served there says which lists hold. What matches no route is `control`, the strictest.
 */
export function areaOfRoute(pattern: string | undefined): Area {
  if (pattern === undefined) return 'control'
  if (pattern === '/metrics') return 'metrics'
  if (/^\/(?:health|healthz|livez|readyz|version|api\/health)(?:\/|$)/.test(pattern)) return 'health'
  if (/^\/(?:$|docs\/|openapi\.json$|admin-ui\/|assets\/|favicon\.svg$)/.test(pattern)) return 'console'
  return 'control'
}
