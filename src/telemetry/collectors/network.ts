import type { Collector } from './collector.ts'

/** Loopback and the near ends of containers: what goes over them is counted elsewhere, and they come and go. */
const passedOver = /^(?:lo|veth|br-|docker|cali|cni|flannel|tap|tun)/

/** What the machine's network interfaces carry. */
export const network: Collector = {
  name: 'network',
  open({ metrics, readProc }) {
    const labels = ['interface', 'direction'] as const
    const bytes = metrics.readings('counter', 'gatehouse_host_network_bytes_total', 'Bytes received and sent.', labels)
    const errors = metrics.readings(
      'counter',
      'gatehouse_host_network_errors_total',
      'Packets that were damaged or dropped.',
      labels,
    )
    const read = () =>
      // Columns: bytes packets errs drop fifo frame compressed multicast, received first, then the same sent.
      [...(readProc('net/dev')?.matchAll(/^ *(\S+): *(.+)$/gm) ?? [])].flatMap(([, name, rest]) => {
        if (passedOver.test(name!)) return []
        const fields = rest!.trim().split(/ +/).map(Number)
        return (['receive', 'transmit'] as const).flatMap((direction, i) => {
          const [moved, , damaged, dropped] = fields.slice(8 * i) as [number, number, number, number]
          return [
            [bytes, moved, { interface: name!, direction }] as const,
            [errors, damaged + dropped, { interface: name!, direction }] as const,
          ]
        })
      })
    return [{ target: '', when: 'scrape', read }]
  },
}
