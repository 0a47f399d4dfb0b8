import { type Collector, createFollowers } from './collector.ts'

/** Loopback and the near ends of containers: what goes over them is counted elsewhere, and they come and go. */
const passedOver = /^(?:lo|veth|br-|docker|cali|cni|flannel|tap|tun)/

/** What the machine's network interfaces carry. */
export const network: Collector = {
  name: 'network',
  open({ metrics, readProc }) {
    const labels = ['interface', 'direction'] as const
    const bytes = metrics.counter('gatehouse_host_network_bytes_total', 'Bytes received and sent.', labels)
    const errors = metrics.counter(
      'gatehouse_host_network_errors_total',
      'Packets that were damaged or dropped.',
      labels,
    )
    const toLabels = (key: string) => {
      const [name, direction] = key.split(' ') as [string, string]
      return { interface: name, direction }
    }
    const followBytes = createFollowers((key) => bytes.with(toLabels(key)))
    const followErrors = createFollowers((key) => errors.with(toLabels(key)))
    return () => {
      // Columns: bytes packets errs drop fifo frame compressed multicast, received first, then the same sent.
      for (const [, name, rest] of readProc('net/dev')?.matchAll(/^ *(\S+): *(.+)$/gm) ?? []) {
        if (passedOver.test(name!)) continue
        const fields = rest!.trim().split(/ +/).map(Number)
        followBytes(`${name} receive`, fields[0]!)
        followErrors(`${name} receive`, fields[2]! + fields[3]!)
        followBytes(`${name} transmit`, fields[8]!)
        followErrors(`${name} transmit`, fields[10]! + fields[11]!)
      }
    }
  },
}
