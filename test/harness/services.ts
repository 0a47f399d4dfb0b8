/**
 * The real services that tests and benches talk to. Each comes from an environment variable, else from a program found
 * on this machine and started on a free port in a temporary folder, else (as root on Debian and Ubuntu) from apt-get.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { accessSync, chownSync, constants, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installPackage } from './install.ts'
import { freePort, type Guarded, spawnGuarded } from './process.ts'

export type Service = {
  url: string
  /** Takes the service away, as an outage does. Nothing happens when it is ours only by environment variable. */
  stop(): Promise<void>
  /** Brings it back on the same address with the same data. */
  start(): Promise<void>
  /** Ends it and removes its folder. */
  destroy(): Promise<void>
}

export type Provided<T> = { service: T } | { missing: string }

export async function providePostgres(): Promise<Provided<Service>> {
  const url = process.env.GATEHOUSE_TEST_POSTGRES_URL
  if (url) return { service: foreign(url) }
  return provide('PostgreSQL', 'GATEHOUSE_TEST_POSTGRES_URL', () => startPostgres())
}

export async function provideRedis(): Promise<Provided<Service>> {
  const url = process.env.GATEHOUSE_TEST_REDIS_URL
  if (url) return { service: foreign(url) }
  return provide('Redis', 'GATEHOUSE_TEST_REDIS_URL', () => startRedis())
}

export async function provideMariadb(): Promise<Provided<Service>> {
  const url = process.env.GATEHOUSE_TEST_MARIADB_URL
  if (url) return { service: foreign(url) }
  return provide('MariaDB', 'GATEHOUSE_TEST_MARIADB_URL', () => startMariadb())
}

/** The path of an nginx that can be started; nothing is started here. */
export const provideNginx = () =>
  providePath('nginx', 'NGINX', findIn('nginx', '/usr/sbin', '/usr/local/sbin'), 'nginx')

/** The path of wrk, which loads a server and counts for itself. */
export const provideWrk = () => providePath('wrk', 'WRK', findIn('wrk', '/usr/local/bin'), 'wrk')

/** The path of a Caddy that can be started; nothing is started here. */
export const provideCaddy = () => providePath('Caddy', 'CADDY', findIn('caddy', '/usr/local/bin'), 'caddy')

/** The path of systemd's own judge of units, which needs no systemd that runs. */
export const provideSystemd = () =>
  providePath('systemd-analyze', 'SYSTEMD_ANALYZE', findIn('systemd-analyze'), 'systemd')

/** The path of a Python 3 that can be started. */
export const providePython = () => providePath('Python', 'PYTHON', findIn('python3', '/usr/local/bin'), 'python3')

/** The path of a Prometheus that can be started, promtool beside it; nothing is started here. */
export const providePrometheus = () =>
  providePath('Prometheus', 'PROMETHEUS', findIn('prometheus', '/usr/local/bin'), 'prometheus')

/** The path of a Chromium, and fonts for Chinese: without them it draws boxes. */
export const provideChromium = () =>
  providePath(
    'Chromium',
    'CHROMIUM',
    () => findIn('chromium')() ?? findIn('google-chrome')(),
    'chromium',
    'fonts-noto-cjk',
  )

/** A program by the variable `GATEHOUSE_TEST_<variable>`, else as `find` finds it, else from Debian's packages. */
function providePath(
  name: string,
  variable: string,
  find: () => string | null,
  ...packages: [string, ...string[]]
): Promise<Provided<string>> {
  const whole = `GATEHOUSE_TEST_${variable}`
  return provide(name, whole, async () => process.env[whole] ?? findOrInstall(find, ...packages))
}

/** A Prometheus of its own, empty, that takes samples by remote write and does what `config` and `flags` say. */
export async function startPrometheus(
  program: string,
  config = 'scrape_configs: []\n',
  flags: readonly string[] = [],
): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-prometheus-'))
  const file = join(folder, 'prometheus.yml')
  writeFileSync(file, config)
  return serve({
    folder,
    url: (port) => `http://127.0.0.1:${port}`,
    isReady: async (port) => (await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null))?.ok === true,
    spawn: (port) =>
      spawnGuarded(
        [
          program,
          ...[`--config.file=${file}`, `--storage.tsdb.path=${join(folder, 'data')}`],
          ...[`--web.listen-address=127.0.0.1:${port}`, '--web.enable-remote-write-receiver'],
          // Samples of tests are of any age.
          ...['--storage.tsdb.retention.time=100y', '--log.level=error'],
          ...flags,
        ],
        { folder, stopSignal: 'TERM' },
      ),
  })
}

/** The path of an Alertmanager that can be started; nothing is started here. */
export async function provideAlertmanager(): Promise<Provided<string>> {
  return provide('Alertmanager', 'GATEHOUSE_TEST_ALERTMANAGER', async () => {
    const named = process.env.GATEHOUSE_TEST_ALERTMANAGER
    const find = () =>
      findProgram('prometheus-alertmanager', ['/usr/bin']) ?? findProgram('alertmanager', ['/usr/local/bin'])
    return named ?? findOrInstall(find, 'prometheus-alertmanager')
  })
}

/** An Alertmanager of its own, alone, with this configuration. */
export async function startAlertmanager(program: string, config: string): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-alertmanager-'))
  const file = join(folder, 'alertmanager.yml')
  writeFileSync(file, config)
  return serve({
    folder,
    url: (port) => `http://127.0.0.1:${port}`,
    isReady: async (port) => (await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null))?.ok === true,
    spawn: (port) =>
      spawnGuarded(
        [
          ...([program, `--config.file=${file}`] as [string, ...string[]]),
          ...[`--storage.path=${join(folder, 'data')}`, `--web.listen-address=127.0.0.1:${port}`],
          ...['--cluster.listen-address=', '--log.level=error'],
        ],
        { folder, stopSignal: 'TERM' },
      ),
  })
}

/** A PostgreSQL server of its own: role and database `gatehouse`, a password, no durability; `settings` as `name=value`. */
export async function startPostgres(settings: readonly string[] = []): Promise<Service> {
  const bin = findOrInstall(findPostgres, 'postgresql')
  const account = postgresAccount()
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-postgres-'))
  if (account !== null) chownSync(folder, account.uid, account.gid)
  // PostgreSQL refuses to run as root.
  const as = account === null ? [] : ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups']
  const command = (...args: string[]): [string, ...string[]] => [...as, ...args] as [string, ...string[]]
  const run = ([program, ...args]: [string, ...string[]]) =>
    execFileSync(program, args, {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: folder },
    })

  const data = join(folder, 'data')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, 'gatehouse\n')
  if (account !== null) chownSync(passwordFile, account.uid, account.gid)
  try {
    run(
      command(
        join(bin, 'initdb'),
        ...['-D', data, '-U', 'gatehouse', '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
        ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
      ),
    )
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return serve({
    folder,
    url: (port) => `postgres://gatehouse:gatehouse@127.0.0.1:${port}/postgres`,
    // A second connection request may come before recovery is over; the protocol's own answer tells readiness.
    isReady: (port) => spawnSync(join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]).status === 0,
    spawn: (port) =>
      spawnGuarded(
        command(
          join(bin, 'postgres'),
          ...['-D', data, '-p', String(port), '-k', '', '-h', '127.0.0.1'],
          ...['-c', 'fsync=off', '-c', 'full_page_writes=off', '-c', 'synchronous_commit=off'],
          ...['-c', 'max_connections=200', '-c', 'shared_buffers=64MB', '-c', 'log_min_messages=fatal'],
          ...settings.flatMap((setting) => ['-c', setting]),
        ),
        // Fast shutdown: sessions are cut off, data is kept.
        { folder, stopSignal: 'INT' },
      ),
  })
}

/** A streaming replica of a server that `startPostgres` has started: read only, and as late as it is. */
export async function startReplica(main: Service): Promise<Service> {
  const bin = findOrInstall(findPostgres, 'postgresql')
  const account = postgresAccount()
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-replica-'))
  if (account !== null) chownSync(folder, account.uid, account.gid)
  const as = account === null ? [] : ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups']
  const command = (...args: string[]): [string, ...string[]] => [...as, ...args] as [string, ...string[]]
  const data = join(folder, 'data')
  const [program, ...args] = command(
    join(bin, 'pg_basebackup'),
    '-d',
    main.url,
    '-D',
    data,
    '-R',
    '-X',
    'stream',
    '-c',
    'fast',
  )
  try {
    execFileSync(program, args, {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: folder },
    })
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return serve({
    folder,
    url: (port) => `postgres://gatehouse:gatehouse@127.0.0.1:${port}/postgres`,
    isReady: (port) => spawnSync(join(bin, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]).status === 0,
    spawn: (port) =>
      spawnGuarded(
        command(
          join(bin, 'postgres'),
          ...['-D', data, '-p', String(port), '-k', '', '-h', '127.0.0.1'],
          ...['-c', 'max_connections=200', '-c', 'shared_buffers=32MB', '-c', 'log_min_messages=fatal'],
        ),
        { folder, stopSignal: 'INT' },
      ),
  })
}

/** A Redis server of its own, without persistence: what it held is gone when it starts again. `settings` as its flags. */
export async function startRedis(settings: readonly string[] = []): Promise<Service> {
  const program = findOrInstall(() => findProgram('redis-server', []), 'redis-server')
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'))
  return serve({
    folder,
    url: (port) => `redis://127.0.0.1:${port}/0`,
    isReady: canConnect,
    spawn: (port) =>
      spawnGuarded(
        [
          program,
          '--port',
          String(port),
          '--bind',
          '127.0.0.1',
          '--dir',
          folder,
          '--save',
          '',
          '--appendonly',
          'no',
          ...settings,
        ],
        { folder, stopSignal: 'TERM' },
      ),
  })
}

/** A MariaDB server of its own: account `gatehouse` with every right, a password, no durability; `settings` as options. */
export async function startMariadb(settings: readonly string[] = []): Promise<Service> {
  const find = () => findProgram('mariadbd', ['/usr/sbin', '/usr/libexec', '/usr/local/sbin'])
  const program = findOrInstall(find, 'mariadb-server')
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-mariadb-'))
  const data = join(folder, 'data')
  const options = [
    ...['--no-defaults', `--datadir=${data}`, '--skip-log-bin', '--innodb-flush-log-at-trx-commit=0'],
    ...['--innodb-buffer-pool-size=64M', '--innodb-log-file-size=16M', '--innodb-doublewrite=0', '--sync-frm=0'],
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
  ]
  const begin = join(folder, 'begin.sql')
  writeFileSync(
    begin,
    "create user if not exists gatehouse@'%' identified by 'gatehouse';\ngrant all on *.* to gatehouse@'%' with grant option;\n",
  )
  try {
    execFileSync(
      'mariadb-install-db',
      [...options, '--auth-root-authentication-method=normal', '--skip-test-db', '--cross-bootstrap'],
      { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
    )
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return serve({
    folder,
    url: (port) => `mysql://gatehouse:gatehouse@127.0.0.1:${port}/mysql`,
    isReady: canConnect,
    spawn: (port) =>
      spawnGuarded(
        [
          ...([program, ...options] as [string, ...string[]]),
          ...[`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${join(folder, 'socket')}`],
          ...[`--pid-file=${join(folder, 'pid')}`, `--init-file=${begin}`],
          ...['--skip-name-resolve', '--max-connections=100', '--performance-schema=off'],
          ...settings,
        ],
        { folder, stopSignal: 'TERM' },
      ),
  })
}

type Recipe = {
  folder: string
  url(port: number): string
  spawn(port: number): Guarded
  isReady(port: number): boolean | Promise<boolean>
}

async function serve({ folder, url, spawn, isReady }: Recipe): Promise<Service> {
  let port = await freePort()
  let running: Guarded | null = null

  async function start(): Promise<void> {
    if (running !== null) return
    const started = spawn(port)
    for (let tries = 0; tries < 300; tries++) {
      if (started.output().exited) break
      if (await isReady(port)) {
        running = started
        return
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await started.stop()
    throw new Error(
      `It did not start on port ${port}: ${started.output().text.trim().split('\n').slice(-3).join(' · ')}`,
    )
  }

  async function stop(): Promise<void> {
    const stopping = running
    running = null
    await stopping?.stop()
  }

  async function destroy(): Promise<void> {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    // Somebody else may take the port between finding and using it.
    for (let tries = 0; ; tries++) {
      try {
        await start()
        break
      } catch (error) {
        if (tries === 2) throw error
        port = await freePort()
      }
    }
  } catch (error) {
    await destroy()
    throw error
  }
  return { url: url(port), start, stop, destroy }
}

function foreign(url: string): Service {
  return { url, start: async () => {}, stop: async () => {}, destroy: async () => {} }
}

async function provide<T>(name: string, variable: string, make: () => Promise<T>): Promise<Provided<T>> {
  try {
    return { service: await make() }
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).trim().split('\n').slice(0, 3).join(' · ')
    return { missing: `${name} is not available: ${reason}. Install it, or set ${variable}.` }
  }
}

function findOrInstall(find: () => string | null, debianPackage: string, ...besides: string[]): string {
  const found = find()
  if (found !== null) return found
  for (const name of [debianPackage, ...besides]) installPackage(name)
  const installed = find()
  if (installed === null) throw new Error(`the package ${debianPackage} brought no program that is known here`)
  return installed
}

/** The folder of the newest PostgreSQL's server programs. */
function findPostgres(): string | null {
  const root = '/usr/lib/postgresql'
  const versions = readFolder(root).sort((a, b) => Number(b) - Number(a))
  const folders = [...versions.map((version) => join(root, version, 'bin')), ...searchPath()]
  return folders.find((folder) => isProgram(join(folder, 'initdb')) && isProgram(join(folder, 'postgres'))) ?? null
}

const findIn =
  (name: string, ...besides: string[]) =>
  () =>
    findProgram(name, besides)

function findProgram(name: string, besides: readonly string[]): string | null {
  return [...searchPath(), ...besides].map((folder) => join(folder, name)).find(isProgram) ?? null
}

function searchPath(): string[] {
  return (process.env.PATH ?? '').split(':').filter((folder) => folder !== '')
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}

/** Null when this process is not root and can run PostgreSQL as it is. */
function postgresAccount(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null
  for (const user of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) =>
      Number(spawnSync('id', [flag, user], { encoding: 'utf8' }).stdout.trim() || 0),
    )
    if (uid && gid) return { uid, gid }
  }
  throw new Error('PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody')
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const finish = (ready: boolean) => {
      socket.destroy()
      resolve(ready)
    }
    socket.once('connect', () => finish(true))
    socket.once('error', () => finish(false))
  })
}
