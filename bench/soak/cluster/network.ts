/** Network namespaces, one for each node, so that a node can be cut off from what it uses while it runs. Needs root. */
import { spawnSync } from 'node:child_process'

/** Where PostgreSQL and Redis listen, and where their provider does, for all nodes. */
export const servicesIp = '10.78.0.1'
export const providerIp = '10.78.0.2'

export type Place = {
  namespace: string
  /** Of the node, as callers reach it. */
  ip: string
  /** Nothing reaches PostgreSQL and Redis any more, and nobody says so; callers and the provider are there. */
  partStores(isParted: boolean): void
  /** The cable is pulled. */
  cutOff(isCut: boolean): void
}

export function openNetwork(nodes: number): { places: Place[]; close(): void } {
  if (process.getuid?.() !== 0) throw new Error('The cluster soak makes network namespaces, which takes root.')
  const names = Array.from({ length: nodes }, (_, i) => i + 1)
  const close = () => {
    for (const number of names) {
      tryIp('rule', 'del', 'from', servicesIp, 'to', ipOf(number), 'blackhole')
      tryIp('link', 'del', linkOf(number))
      tryIp('netns', 'del', namespaceOf(number))
    }
    for (const each of [servicesIp, providerIp]) tryIp('addr', 'del', `${each}/32`, 'dev', 'lo')
  }
  // What a run that was killed has left.
  close()
  for (const each of [servicesIp, providerIp]) ip('addr', 'add', `${each}/32`, 'dev', 'lo')
  return { places: names.map(openPlace), close }
}

const namespaceOf = (number: number) => `gatehouse-soak-${number}`
const linkOf = (number: number) => `ghsoak${number}`
const ipOf = (number: number) => `10.77.${number}.2`

function openPlace(number: number): Place {
  const [namespace, link] = [namespaceOf(number), linkOf(number)]
  const hostIp = `10.77.${number}.1`
  ip('netns', 'add', namespace)
  ip('link', 'add', link, 'type', 'veth', 'peer', 'name', `${link}n`)
  ip('link', 'set', `${link}n`, 'netns', namespace)
  ip('addr', 'add', `${hostIp}/30`, 'dev', link)
  ip('link', 'set', link, 'up')
  const inside = (...args: string[]) => ip('-n', namespace, ...args)
  inside('link', 'set', 'lo', 'up')
  inside('addr', 'add', `${ipOf(number)}/30`, 'dev', `${link}n`)
  inside('link', 'set', `${link}n`, 'up')
  inside('route', 'add', 'default', 'via', hostIp)
  return {
    namespace,
    ip: ipOf(number),
    partStores: (isParted) => ip('rule', isParted ? 'add' : 'del', 'from', servicesIp, 'to', ipOf(number), 'blackhole'),
    cutOff: (isCut) => ip('link', 'set', link, isCut ? 'down' : 'up'),
  }
}

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`)
}

function tryIp(...args: string[]): void {
  spawnSync('ip', args)
}
