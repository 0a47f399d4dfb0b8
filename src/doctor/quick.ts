import { readMemory, readProcessorUse } from '../platform/diagnose/machine.ts'
import { canConnect } from '../platform/diagnose/server.ts'
import { readDiskSpace, readTail } from '../platform/files.ts'
import { findPortHolder } from '../platform/port-holder.ts'
import { scrub } from '../platform/scrub.ts'
import { messageOf, ownAddress, type World } from './world.ts'

const gibibyte = 1024 ** 3

/** Seed 003's quick diagnosis, in its order; each line is a fact, whether good or not. */
export async function diagnoseQuickly(world: World, errorLog: string): Promise<{ isWell: boolean; lines: string[] }> {
  const lines: string[] = ['=== 快速诊断 · Quick diagnosis ===']
  let isWell = true
  const say = (line: string) => void lines.push(`   ${scrub(line)}`)
  const bad = (line: string) => {
    isWell = false
    say(`✗ ${line}`)
  }
  const { settings } = world
  const [postgres, redis, hub, store] = await Promise.all([world.postgres(), world.redis(), world.hub(), world.store()])

  lines.push('1. 检查服务状态 · Services')
  if (settings === null) bad('application: the configuration cannot be read (gatehouse config validate)')
  else if (hub?.answered === true && /"status":"alive"/.test(hub.text))
    say(`application: answers at ${ownAddress(settings)}`)
  else
    bad(
      `application: ${hub?.answered === true ? `/livez answers ${hub.status}` : (hub?.message ?? 'its port is not known')}`,
    )
  if (store.kind === 'open') say(`database: ${world.isPostgres ? 'PostgreSQL' : 'SQLite'} answers`)
  else bad(`database: ${store.kind === 'absent' ? `there is none yet (${store.where})` : store.message}`)
  if (redis === null) say('cache: no Redis is configured; one node alone needs none')
  else if (redis.kind === 'open') say(`cache: Redis ${redis.version} answers`)
  else bad(`cache: ${redis.message}`)

  lines.push('2. 检查端口状态 · Ports')
  const ports = portsOf(world)
  for (const { name, host, port } of ports) {
    if (await canConnect(host, port, 2000)) say(`${host}:${port} ${name}: listens`)
    else bad(`${host}:${port} ${name}: nobody listens`)
  }

  lines.push('3. 检查进程状态 · Processes')
  for (const { name, host, port } of ports.filter(({ host }) => isHere(host))) {
    const holder = await findPortHolder(port)
    say(
      `${name} ${host}:${port}: ${holder === null ? 'no process that can be seen from here' : `process ${holder.pid} (${holder.command})`}`,
    )
  }

  lines.push('4. 检查资源使用 · Resources')
  const cpu = await readProcessorUse(() => world.clock.sleep(200))
  if (cpu === null) say('CPU: this system does not tell')
  else if (cpu > 80) bad(`CPU: ${cpu.toFixed(0)} %`)
  else say(`CPU: ${cpu.toFixed(0)} %`)
  const { availableBytes, totalBytes } = readMemory()
  const memory = 100 * (1 - availableBytes / totalBytes)
  const told = `${((totalBytes - availableBytes) / gibibyte).toFixed(1)}/${(totalBytes / gibibyte).toFixed(1)} GiB (${memory.toFixed(0)} %)`
  if (memory > 85) bad(`memory: ${told}`)
  else say(`memory: ${told}`)
  if (settings !== null) {
    try {
      const disk = readDiskSpace(settings.data.dir)
      const used = 100 * (1 - disk.freeBytes / disk.totalBytes)
      if (used > 85) bad(`disk: ${used.toFixed(0)} % used`)
      else say(`disk: ${used.toFixed(0)} % used`)
    } catch (error) {
      bad(`disk: ${messageOf(error)}`)
    }
  }

  lines.push('5. 检查最近的错误 · Recent errors')
  const errors = (readTail(errorLog, 64 * 1024) ?? '').split('\n').filter((line) => line !== '')
  if (errors.length === 0) say('none')
  for (const line of errors.slice(-20)) say(line.slice(0, 400))

  lines.push('6. 检查数据库连接 · Database connections')
  if (postgres === null) say('SQLite: one writer, one reader')
  else if (postgres.kind === 'fault') bad(postgres.message)
  else if (postgres.connections > 0.8 * postgres.maxConnections)
    bad(`${postgres.connections} of ${postgres.maxConnections}`)
  else say(`${postgres.connections} of ${postgres.maxConnections}`)

  lines.push('7. 检查 Redis 连接 · Redis connection')
  if (redis === null) say('none is configured')
  else if (redis.kind === 'open') say('PONG')
  else bad(redis.message)

  lines.push('=== 诊断完成 · Done ===')
  return { isWell, lines }
}

function portsOf({ settings, isPostgres }: World): { name: string; host: string; port: number }[] {
  if (settings === null) return []
  const found: { name: string; host: string; port: number }[] = []
  const own = new URL(ownAddress(settings))
  if (settings.server.port !== 0)
    found.push({ name: 'gatehouse', host: bare(own.hostname), port: settings.server.port })
  for (const [name, address, usual, isThere] of [
    ['postgres', settings.database.url, 5432, isPostgres],
    ['redis', settings.redis.url, 6379, settings.redis.url !== ''],
  ] as const) {
    if (!isThere || !URL.canParse(address)) continue
    const { hostname, port } = new URL(address)
    if (hostname !== '') found.push({ name, host: bare(hostname), port: Number(port || usual) })
  }
  return found
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

function isHere(host: string): boolean {
  return /^(localhost|127\.|::1$|0\.0\.0\.0$)/.test(host)
}
