import { canConnect } from '../../platform/diagnose/server.ts'
import { bad, defineFinding, ok, skip, warn } from '../finding.ts'
import { withTables } from './ledger.ts'

export const serviceEmpty = defineFinding({
  id: 'service_empty',
  area: 'services',
  severity: 'major',
  run: (world) =>
    withTables(world, async ({ store }) => {
      const [services, instances] = await Promise.all([store.services(), store.instances()])
      if (services.length === 0) return skip('no plugin service is known')
      const manned = new Set(instances.map(({ service_id }) => service_id))
      const empty = services.filter(({ id }) => !manned.has(id)).map(({ name }) => name)
      if (empty.length === 0) return ok(`${services.length} services have instances`)
      return warn(
        empty.join(', '),
        {
          en: `Nobody has registered for ${empty.join(', ')}: calls get 503.`,
          zh: `${empty.join('、')} 没有已注册的实例：调用会返回 503。`,
        },
        {
          en: 'Start the plugin with the address of this hub (GATEHOUSE_URL) and a registration token that is not used up; its log says why it was refused.',
          zh: '请用本服务地址（GATEHOUSE_URL）与有效的注册令牌启动插件；其日志会说明被拒原因。',
        },
      )
    }),
})

export const serviceUnreachable = defineFinding({
  id: 'service_unreachable',
  area: 'services',
  severity: 'major',
  run: (world) =>
    withTables(world, async ({ store }) => {
      const [services, instances] = await Promise.all([store.services(), store.instances()])
      const nameOf = new Map(services.map(({ id, name }) => [id, name]))
      const asked = instances.filter(({ service_id, is_maintenance }) => nameOf.has(service_id) && is_maintenance === 0)
      if (asked.length === 0) return skip('no instance of a plugin service is registered')
      const answers = await Promise.all(
        asked.slice(0, 100).map(async (each) => ({ ...each, isThere: await canConnect(each.host, each.port, 2000) })),
      )
      const away = answers.filter(({ isThere }) => !isThere)
      if (away.length === 0) return ok(`${answers.length} instances accept connections`)
      const names = away.map(({ service_id, host, port }) => `${nameOf.get(service_id)} at ${host}:${port}`).join(', ')
      return bad(
        names,
        {
          en: `Registered instances do not accept connections from here: ${names}.`,
          zh: `已注册的实例无法从本机连接：${names}。`,
        },
        {
          en: 'Is it running, and does it listen on 0.0.0.0 rather than 127.0.0.1 where it is on another machine or in another container? Its registered host must be reachable from the hub.',
          zh: '请确认其正在运行；若在其他机器或容器中，应监听 0.0.0.0 而非 127.0.0.1，且注册的主机地址可从本服务访问。',
        },
      )
    }),
})
