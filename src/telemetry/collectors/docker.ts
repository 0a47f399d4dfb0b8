import { type ContainerStatistics, isSocket, watchDocker } from '../../platform/statistics/docker.ts'
import { type DockerLimit, readDockerLimit } from '../docker-limits.ts'
import type { Collector, CollectorParts, Reading } from './collector.ts'

/** Containers of the Docker engine on this machine, with what their component may use; none where its socket is not. */
export const docker: Collector = {
  name: 'docker',
  open({ metrics, log, config }) {
    if (config.docker_socket === '' || !isSocket(config.docker_socket)) return []
    const watch = watchDocker(config.docker_socket)
    const limits = config.docker_limits.map((text) => readDockerLimit(text)!)
    const families = openFamilies(metrics)
    let isToldOfMore = false
    return [
      {
        target: '',
        when: 'interval',
        async read(signal) {
          const { containers, total } = await watch.read(config.docker_max_containers, signal)
          if (total > config.docker_max_containers && !isToldOfMore) {
            isToldOfMore = true
            log.warn('There are more containers than are watched', {
              count: total,
              setting: 'collectors.docker_max_containers',
            })
          }
          return [
            [families.containers, total] as const,
            ...limits.flatMap((limit) => limitReadings(families, limit)),
            ...containers.flatMap((each) => containerReadings(families, each, componentOf(each, limits))),
          ]
        },
      },
    ]
  },
}

type Families = ReturnType<typeof openFamilies>

function openFamilies(metrics: CollectorParts['metrics']) {
  const own = ['container', 'component'] as const
  const directed = [...own, 'direction'] as const
  const gauge = <N extends string>(name: string, help: string, labels: readonly N[]) =>
    metrics.readings('gauge', `gatehouse_docker_${name}`, help, labels)
  const counter = <N extends string>(name: string, help: string, labels: readonly N[]) =>
    metrics.readings('counter', `gatehouse_docker_${name}_total`, help, labels)
  return {
    containers: metrics.readings('gauge', 'gatehouse_docker_containers', 'Containers of the engine.'),
    state: gauge('container_state', 'The state a container is in; the value is always 1.', [
      ...([...own, 'image', 'state'] as const),
    ]),
    health: gauge(
      'container_healthy',
      'By its health check: 1 healthy, 0 not; absent without one, and while it starts.',
      own,
    ),
    restarts: counter('container_restarts', 'Times the engine started it again.', own),
    cpu: counter('container_cpu_seconds', 'Processor time.', own),
    cpus: gauge('container_cpus', 'Processors it may use.', own),
    memory: gauge('container_memory_bytes', 'Memory in use, without page cache that can be given up.', own),
    memoryLimit: gauge('container_memory_limit_bytes', 'Memory it may use.', own),
    block: counter('container_block_bytes', 'Bytes read from and written to block devices.', directed),
    network: counter('container_network_bytes', 'Bytes received and sent.', directed),
    limitRatio: gauge('limit_ratio', 'Share of its processors or memory a component should stay under.', [
      ...(['component', 'resource'] as const),
    ]),
    limitRate: gauge('limit_bytes_per_second', 'Bytes a second a component should stay under.', [
      ...(['component', 'resource'] as const),
    ]),
  }
}

/** The first of the limits whose component is part of the name of the Compose service, else of the container. */
function componentOf({ name, service }: ContainerStatistics, limits: readonly DockerLimit[]): string {
  const text = (service || name).toLowerCase()
  return limits.find(({ component }) => text.includes(component.toLowerCase()))?.component ?? ''
}

function limitReadings(to: Families, { component, cpu, memory, disk, network }: DockerLimit): Reading[] {
  return [
    [to.limitRatio, cpu, { component, resource: 'cpu' }],
    [to.limitRatio, memory, { component, resource: 'memory' }],
    [to.limitRate, disk, { component, resource: 'disk' }],
    [to.limitRate, network, { component, resource: 'network' }],
  ]
}

function containerReadings(to: Families, found: ContainerStatistics, component: string): Reading[] {
  const own = { container: found.name, component }
  return [
    [to.state, 1, { ...own, image: found.image, state: found.state }],
    [to.health, /^(un)?healthy$/.test(found.health) ? Number(found.health === 'healthy') : null, own],
    [to.restarts, found.restarts, own],
    [to.cpu, found.cpuSeconds, own],
    [to.cpus, found.cpus, own],
    [to.memory, found.memoryBytes, own],
    [to.memoryLimit, found.memoryLimitBytes, own],
    [to.block, found.blockReadBytes, { ...own, direction: 'read' }],
    [to.block, found.blockWriteBytes, { ...own, direction: 'write' }],
    [to.network, found.receivedBytes, { ...own, direction: 'receive' }],
    [to.network, found.sentBytes, { ...own, direction: 'transmit' }],
  ]
}
