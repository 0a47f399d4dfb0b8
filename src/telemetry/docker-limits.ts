/** What a component may use; null where nothing is said. Shares are of 1, rates in bytes a second. */
export type DockerLimit = {
  component: string
  cpu: number | null
  memory: number | null
  disk: number | null
  network: number | null
}

const units: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9 }

/** `mysql cpu=70% memory=80% disk=100MB network=50MB`, any of them left out; null when it cannot be read. */
export function readDockerLimit(text: string): DockerLimit | null {
  const [component = '', ...parts] = text.trim().split(/\s+/)
  if (!/^[A-Za-z0-9][\w.-]{0,59}$/.test(component) || parts.length === 0) return null
  const limit: DockerLimit = { component, cpu: null, memory: null, disk: null, network: null }
  for (const part of parts) {
    const [, share, percent] = /^(cpu|memory)=(\d+(?:\.\d+)?)%$/.exec(part) ?? []
    const [, flow, amount, unit] = /^(disk|network)=(\d+(?:\.\d+)?)(B|KB|MB|GB)(?:\/s)?$/.exec(part) ?? []
    if (share !== undefined) limit[share as 'cpu' | 'memory'] = Number(percent) / 100
    else if (flow !== undefined) limit[flow as 'disk' | 'network'] = Number(amount) * units[unit!]!
    else return null
  }
  return limit
}
