import { tryListen } from '../../platform/diagnose/server.ts'
import { findPortHolder } from '../../platform/port-holder.ts'
import { bad, defineFinding, ok, skip } from '../finding.ts'
import type { World } from '../world.ts'

/** What a hub says of itself at `/livez`; null when no hub answers there. */
async function askHub({ hub }: World): Promise<'alive' | 'stalled' | null> {
  const answer = await hub()
  const told = answer?.answered === true ? /"status":"(alive|stalled)"/.exec(answer.text)?.[1] : undefined
  return (told as 'alive' | 'stalled' | undefined) ?? null
}

async function tellHolder(port: number) {
  const holder = await findPortHolder(port)
  return holder === null ? null : { ...holder, isOurs: /gatehouse|src\/main\.ts/.test(holder.command) }
}

export const portTaken = defineFinding({
  id: 'port_taken',
  area: 'hub',
  severity: 'critical',
  async run(world) {
    const { settings, isHub, whereOf } = world
    if (settings === null) return skip('the port is not known')
    const { host, port } = settings.server
    if (isHub || port === 0) return ok('the hub has its port')
    const refused = await tryListen(host, port)
    if (refused?.code !== 'EADDRINUSE') return ok(`port ${port} is ${refused === null ? 'free' : 'not taken'}`)
    if ((await askHub(world)) !== null) return ok(`a hub answers on port ${port}`)
    const holder = await tellHolder(port)
    if (holder?.isOurs) return ok(`process ${holder.pid} (${holder.command}) has port ${port}: see hub_stalled`)
    const who =
      holder === null ? 'a process that cannot be seen from here' : `process ${holder.pid} (${holder.command})`
    return bad(
      `${host}:${port} (${whereOf('server.port')}): ${refused.message}; ${who}`,
      {
        en: `Port ${port} is taken by ${who}, which is no hub.`,
        zh: `端口 ${port} 已被${holder === null ? '无法识别的进程' : `进程 ${holder.pid}（${holder.command}）`}占用，且不是本服务。`,
      },
      {
        en: `${holder === null ? `Find it as root (ss -ltnp 'sport = :${port}') or in another container` : `End it (kill ${holder.pid})`}, or set server.port to another one.`,
        zh: `${holder === null ? `以 root 执行 ss -ltnp 'sport = :${port}' 查找，或检查其他容器` : `结束该进程（kill ${holder.pid}）`}，或更改 server.port。`,
      },
    )
  },
})

export const listenRefused = defineFinding({
  id: 'listen_refused',
  area: 'hub',
  severity: 'critical',
  async run({ settings, isHub, whereOf }) {
    if (settings === null) return skip('the address is not known')
    const { host, port } = settings.server
    if (isHub) return ok('the hub listens')
    const refused = await tryListen(host, port)
    if (refused === null || refused.code === 'EADDRINUSE') return ok(`this machine has the address ${host}`)
    const isForbidden = refused.code === 'EACCES'
    return bad(
      `${host}:${port} (${whereOf('server.host')}): ${refused.message}`,
      isForbidden
        ? {
            en: `This user may not listen on port ${port}: ports below 1024 are for root.`,
            zh: `当前用户无权监听端口 ${port}：1024 以下端口需要 root 权限。`,
          }
        : { en: `This machine has no address ${host} to listen on.`, zh: `本机没有可监听的地址 ${host}。` },
      isForbidden
        ? {
            en: 'Take a port from 1024 on and put a reverse proxy before it, or give Node the right: setcap cap_net_bind_service=+ep.',
            zh: '请使用 1024 及以上端口并在前面放置反向代理，或为 Node 授予 cap_net_bind_service。',
          }
        : {
            en: 'Set server.host to 127.0.0.1, 0.0.0.0, or an address that "ip addr" shows.',
            zh: '请将 server.host 设为 127.0.0.1、0.0.0.0 或 ip addr 列出的地址。',
          },
    )
  },
})

export const hubStalled = defineFinding({
  id: 'hub_stalled',
  area: 'hub',
  severity: 'critical',
  async run(world) {
    const { settings, isHub } = world
    if (settings === null || settings.server.port === 0) return skip('the port is not known')
    if (isHub) return ok('the hub answers this very question')
    const { port } = settings.server
    const answer = await world.hub()
    const told = await askHub(world)
    if (told === 'alive') return ok(`/livez answers on port ${port}`)
    const holder = await tellHolder(port)
    if (told === null && holder?.isOurs !== true) return skip('no hub runs here')
    const evidence =
      answer?.answered === true
        ? `/livez answers ${answer.status}: ${answer.text.slice(0, 300)}`
        : `/livez: ${answer?.message ?? 'not asked'}`
    return bad(
      `${evidence}; process ${holder?.pid ?? 'unknown'}`,
      {
        en: 'The hub runs, but it is stuck: it does not answer, or a part of it has stopped working.',
        zh: '服务进程仍在，但已停滞：不再应答，或其某个部件停止工作。',
      },
      {
        en: `Look at the last lines of api-error.log, then start it anew (kill ${holder?.pid ?? 'PID'}; kill -9 if that does nothing). What was answered is in the journal.`,
        zh: `查看 api-error.log 末尾，然后重启（kill ${holder?.pid ?? 'PID'}，无效时 kill -9）。已应答的调用保存在账本日志中。`,
      },
    )
  },
})
