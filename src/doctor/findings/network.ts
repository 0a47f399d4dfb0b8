import { resolveName } from '../../platform/diagnose/server.ts'
import { bad, defineFinding, ok, skip, warn } from '../finding.ts'
import { ownAddress, type World } from '../world.ts'

const variables = ['http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY']

export const proxyVariables = defineFinding({
  id: 'proxy_variables',
  area: 'network',
  severity: 'major',
  run({ env, settings }) {
    const set = variables.filter((name) => env[name])
    if (set.length === 0) return ok('no proxy variable is set')
    const exempt = (env.no_proxy || env.NO_PROXY || '').split(',').map((each) => each.trim())
    const isExempt = exempt.includes('*') || (exempt.includes('localhost') && exempt.includes('127.0.0.1'))
    if (isExempt) return ok(`${set.join(', ')} set, with localhost and 127.0.0.1 exempt`)
    const isOnlyEnvironment = settings !== null && settings.network.proxy === ''
    return warn(
      `${set.join(', ')}; NO_PROXY = ${exempt.join(',') || 'not set'}`,
      {
        en: `Proxy variables are set and localhost is not exempt: plugins, curl and other programs here send internal calls to the proxy and get 502 or nothing.${isOnlyEnvironment ? ' The hub itself never takes a proxy from the environment.' : ''}`,
        zh: `已设置代理变量且未豁免 localhost：本机的插件、curl 等程序会把内部请求发往代理，得到 502 或超时。${isOnlyEnvironment ? '本服务自身不会采用环境变量中的代理。' : ''}`,
      },
      {
        en: 'export NO_PROXY=localhost,127.0.0.1,::1 (and no_proxy), or unset them. For providers behind a proxy set network.proxy.',
        zh: '请执行 export NO_PROXY=localhost,127.0.0.1,::1（以及 no_proxy），或取消这些变量；访问模型供应商需要代理时设置 network.proxy。',
      },
    )
  },
})

export const localhostAddresses = defineFinding({
  id: 'localhost_addresses',
  area: 'network',
  severity: 'minor',
  async run({ settings }) {
    const addresses = await resolveName('localhost').catch((): string[] => [])
    if (addresses.length === 0) {
      return bad(
        'localhost has no address',
        { en: 'This machine does not know "localhost".', zh: '本机无法解析 localhost。' },
        { en: 'Add "127.0.0.1 localhost" to /etc/hosts.', zh: '请在 /etc/hosts 中加入 127.0.0.1 localhost。' },
      )
    }
    const evidence = `localhost is ${addresses.join(', ')}`
    // Whoever listens on 127.0.0.1 alone does not hear those who try ::1 first and only.
    const isFirst6 = addresses[0] === '::1'
    if (!isFirst6 || settings === null || settings.server.host !== '127.0.0.1' || addresses.includes('127.0.0.1'))
      return ok(evidence)
    return warn(
      evidence,
      {
        en: '"localhost" is IPv6 here, and the hub listens on IPv4: who calls http://localhost is refused.',
        zh: '本机 localhost 为 IPv6，而服务监听 IPv4：访问 http://localhost 会被拒绝。',
      },
      {
        en: 'Call 127.0.0.1, set server.host to "::" or add "127.0.0.1 localhost" to /etc/hosts.',
        zh: '请改用 127.0.0.1、将 server.host 设为 "::"，或在 /etc/hosts 加入 127.0.0.1 localhost。',
      },
    )
  },
})

export const publicNameUnresolved = defineFinding({
  id: 'public_name_unresolved',
  area: 'network',
  severity: 'major',
  async run({ settings, isOffline }) {
    const address = settings?.server.public_url ?? ''
    if (address === '') return skip('server.public_url is not set')
    if (isOffline) return skip('offline')
    const { hostname } = new URL(address)
    try {
      return ok(`${hostname} is ${(await resolveName(hostname.replace(/^\[|\]$/g, ''))).join(', ')}`)
    } catch (error) {
      return bad(
        `${hostname}: ${(error as Error).message}`,
        {
          en: 'The name of server.public_url cannot be resolved from here.',
          zh: '本机无法解析 server.public_url 的主机名。',
        },
        {
          en: 'Mend the DNS record or the setting; look with getent hosts.',
          zh: '请修复 DNS 记录或该设置；可用 getent hosts 检查。',
        },
      )
    }
  },
})

const doubtfulMs = 2000
const wrongMs = 30_000

export const clockSkew = defineFinding({
  id: 'clock_skew',
  area: 'machine',
  severity: 'major',
  async run(world) {
    const others = await otherClocks(world)
    if (others.length === 0) return skip('there is no other clock to compare with')
    const evidence = others.map(({ name, aheadMs }) => `${name} is ${aheadMs} ms ahead of us`).join('; ')
    const worst = Math.max(...others.map(({ aheadMs, byMs }) => Math.abs(aheadMs) - byMs))
    if (worst < doubtfulMs) return ok(evidence)
    return (worst < wrongMs ? warn : bad)(
      evidence,
      {
        en: 'Clocks differ: tokens expire early or late, limits and rows land in the wrong minute, second factors fail.',
        zh: '时钟不一致：令牌提前或延后失效，限额与账目落入错误的时间段，动态口令会失败。',
      },
      {
        en: 'Switch time synchronisation on here and there: timedatectl set-ntp true; chronyc tracking tells which one is wrong.',
        zh: '请在各机器上启用时间同步：timedatectl set-ntp true；用 chronyc tracking 查看哪台不准。',
      },
    )
  },
})

async function otherClocks({ postgres, redis, hub, settings, clock }: World) {
  const found: { name: string; aheadMs: number; byMs: number }[] = []
  const [database, shared] = await Promise.all([postgres(), redis()])
  for (const [name, look] of [
    ['PostgreSQL', database],
    ['Redis', shared],
  ] as const) {
    if (look?.kind === 'open') found.push({ name, aheadMs: look.aheadMs, byMs: look.roundTripMs })
  }
  const answer = settings === null ? null : await hub()
  const date = answer?.answered === true ? Date.parse(String(answer.headers.date ?? '')) : Number.NaN
  // An HTTP date has whole seconds, and some servers keep it for one.
  if (!Number.isNaN(date))
    found.push({ name: ownAddress(settings!), aheadMs: Math.round(date - clock.now()), byMs: 5000 })
  return found
}
