import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Fault } from './fault.ts'

const only = (area: string) => ['--only', area]
const failing = (code: string, message: string) => ({ error: { message, type: code, code } })

/** Of the program, the machine and the settings: what is there before any server. */
const here: readonly Fault[] = [
  {
    ...{ name: 'a configuration that is no TOML', finds: 'configuration_unreadable' },
    ...{ cause: /./, remedy: /./ },
    make: (bench) => ({ args: ['--config', file(bench.folder(), 'hub.toml', '[server]\nport = = 1\n')] }),
  },
  {
    ...{ name: 'a configuration file that is not there', finds: 'configuration_unreadable' },
    ...{ cause: /no|not/i, remedy: /./ },
    make: (bench) => ({ args: ['--config', join(bench.folder(), 'nowhere.toml')] }),
  },
  {
    ...{ name: 'a setting that does not exist', finds: 'setting_refused', cause: /prot/, remedy: /port/ },
    make: (bench) => ({ args: ['--config', file(bench.folder(), 'hub.toml', '[server]\nprot = 1\n')] }),
  },
  {
    ...{ name: 'a setting out of its range', finds: 'setting_refused', cause: /./, remedy: /./ },
    make: () => ({ env: { GATEHOUSE_SERVER_PORT: '70000' } }),
  },
  {
    ...{ name: 'a setting of the wrong kind', finds: 'setting_refused', cause: /./, remedy: /./ },
    make: () => ({ env: { GATEHOUSE_BACKUPS_ENABLED: 'perhaps' } }),
  },
  {
    ...{ name: 'a variable that is no setting', finds: 'setting_doubtful', status: 'warn' },
    ...{ cause: /./, remedy: /./ },
    make: () => ({ env: { GATEHOUSE_FROBNICATION: '1' } }),
  },
  {
    ...{ name: 'a variable that is nearly a setting', finds: 'setting_refused', cause: /./, remedy: /PORT/ },
    make: () => ({ env: { GATEHOUSE_SERVER_PROT: '8000' } }),
  },
  {
    ...{
      name: 'an ADMIN_KEY that stands in every guide',
      finds: 'secret_weak',
      status: 'warn',
      cause: /default/,
      remedy: /openssl rand/,
    },
    make: () => ({ env: { ADMIN_KEY: 'changeme' } }),
  },
  {
    ...{
      name: 'a short ADMIN_KEY on an open address',
      finds: 'secret_weak',
      cause: /shorter than/,
      remedy: /openssl rand/,
    },
    make: () => ({ env: { ADMIN_KEY: 'abc', GATEHOUSE_SERVER_HOST: '0.0.0.0' } }),
  },
  {
    ...{ name: 'a master key that is no key', finds: 'master_key', cause: /cannot be read/, remedy: /32 bytes/ },
    make(bench) {
      const data = bench.hubCopy()
      writeFileSync(join(data, 'secret.key'), 'short', { mode: 0o600 })
      return { args: ['--data', data, ...only('secrets')] }
    },
  },
  {
    ...{
      name: 'another master key than providers were sealed with',
      finds: 'master_key',
      cause: /another master key/,
      remedy: /former/,
    },
    make(bench) {
      const data = bench.hubCopy()
      writeFileSync(join(data, 'secret.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`, { mode: 0o600 })
      return { args: ['--data', data, ...only('secrets')] }
    },
  },
  {
    ...{ name: 'a master key that others may read', finds: 'secret_key_open', cause: /others/, remedy: /chmod go=/ },
    make(bench) {
      const data = bench.hubCopy()
      chmodSync(join(data, 'secret.key'), 0o644)
      return { args: ['--data', data, ...only('secrets')] }
    },
  },
  {
    ...{
      name: 'a data folder that is a file',
      finds: 'data_folder_unusable',
      cause: /cannot be used/,
      remedy: /Move the file/,
    },
    make: (bench) => ({ args: ['--data', file(bench.folder(), 'data', ''), ...only('machine')] }),
  },
  {
    ...{
      name: 'a data folder on a disk that may not be written',
      finds: 'data_folder_unusable',
      cause: /cannot be used/,
      remedy: /chown/,
    },
    make(bench) {
      const disk = bench.disk(1024, 'ro')
      return { args: ['--data', join(disk, 'data'), ...only('machine')] }
    },
  },
  {
    ...{
      name: 'a data folder that is not there',
      finds: 'data_folder_missing',
      status: 'warn',
      cause: /no data folder/,
      remedy: /--fix/,
    },
    make: (bench) => ({ args: ['--data', join(bench.folder(), 'gone'), ...only('machine')] }),
  },
  {
    ...{
      name: 'a data folder that others may enter',
      finds: 'data_folder_open',
      status: 'warn',
      cause: /others/,
      remedy: /chmod go=/,
    },
    make(bench) {
      const data = bench.hubCopy()
      chmodSync(data, 0o755)
      return { args: ['--data', data, ...only('machine')] }
    },
  },
  {
    ...{
      name: 'files that a dead process left half written',
      finds: 'leftovers',
      status: 'warn',
      cause: /half written/,
      remedy: /--fix/,
    },
    make(bench) {
      const data = bench.hubCopy()
      writeFileSync(join(data, 'secret.key.999999999.draft'), '')
      return { args: ['--data', data, ...only('machine')] }
    },
  },
  {
    ...{
      name: 'a disk that is nearly full',
      finds: 'disk_full',
      status: 'warn',
      cause: /nearly full/,
      remedy: /du -sh/,
    },
    make: (bench) => ({ args: ['--data', bench.disk(200 * 1024), ...only('machine')] }),
  },
  {
    ...{ name: 'a disk that is full', finds: 'disk_full', cause: /refused/, remedy: /make room/ },
    make(bench) {
      const disk = bench.disk(256)
      try {
        writeFileSync(join(disk, 'ballast'), Buffer.alloc(512 * 1024))
      } catch {
        // That it does not fit is what is wanted.
      }
      return { args: ['--data', disk, ...only('machine')] }
    },
  },
  {
    ...{
      name: 'a proxy that catches calls of this machine to itself',
      finds: 'proxy_variables',
      status: 'warn',
      cause: /502/,
      remedy: /NO_PROXY/,
    },
    make: () => ({ env: { HTTP_PROXY: 'http://10.0.0.1:3128' }, args: only('network') }),
  },
  {
    ...{
      name: 'a SOCKS proxy for everything',
      finds: 'proxy_variables',
      status: 'warn',
      cause: /localhost is not exempt/,
      remedy: /NO_PROXY/,
    },
    make: () => ({ env: { all_proxy: 'socks5://10.0.0.1:1080', no_proxy: 'example.com' }, args: only('network') }),
  },
  {
    ...{
      name: 'a public name that nobody knows',
      finds: 'public_name_unresolved',
      cause: /cannot be resolved/,
      remedy: /DNS/,
    },
    make: () => ({ env: { GATEHOUSE_SERVER_PUBLIC_URL: 'https://hub.invalid' }, args: only('network') }),
  },
  {
    ...{
      name: 'a port that another program has',
      finds: 'port_taken',
      cause: /no hub/,
      remedy: new RegExp(`kill ${process.pid}`),
    },
    make: async (bench) => ({ env: { GATEHOUSE_SERVER_PORT: `${await bench.speaking('hello')}` }, args: only('hub') }),
  },
  {
    ...{
      name: 'an address that this machine has not',
      finds: 'listen_refused',
      cause: /no address/,
      remedy: /0\.0\.0\.0/,
    },
    make: () => ({ env: { GATEHOUSE_SERVER_HOST: '203.0.113.7', GATEHOUSE_SERVER_PORT: '18999' }, args: only('hub') }),
  },
  {
    ...{ name: 'a hub with a worker that stands still', finds: 'hub_stalled', cause: /stuck/, remedy: /start it anew/ },
    async make(bench) {
      const port = await bench.web(() => ({ status: 503, body: '{"status":"stalled"}' }))
      return { env: { GATEHOUSE_SERVER_PORT: `${port}` }, args: only('hub') }
    },
  },
  {
    ...{
      name: 'maintenance that has not run for a week',
      finds: 'maintenance_late',
      status: 'warn',
      cause: /No job/,
      remedy: /worker/,
    },
    make(bench) {
      const data = bench.hubCopy()
      bench.change(data, `update schema_migrations set applied_at = ${daysAgo(7)}`)
      return { args: ['--data', data, ...only('hub')] }
    },
  },
]

/** Of the store. */
const stores: readonly Fault[] = [
  {
    ...{
      name: 'a store that is no database',
      finds: 'database_file',
      cause: /cannot be opened/,
      remedy: /backup restore/,
    },
    make(bench) {
      const data = bench.folder()
      file(data, 'gatehouse.db', 'this is no database at all, but long enough to be looked at '.repeat(40))
      return { args: ['--data', data, ...only('database')] }
    },
  },
  {
    ...{ name: 'a store that was cut off', finds: 'database_file', cause: /damaged/, remedy: /backup restore/ },
    make(bench) {
      const data = bench.hubCopy()
      const path = join(data, 'gatehouse.db')
      const bytes = readFileSync(path)
      bytes.fill(0x5a, 0, 4096)
      writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length / 2)))
      return { args: ['--data', data, ...only('database')] }
    },
  },
  {
    ...{
      name: 'a store of an earlier version',
      finds: 'migrations_pending',
      status: 'warn',
      cause: /not applied/,
      remedy: /migrate up/,
    },
    make(bench) {
      const data = bench.hubCopy()
      bench.change(data, "delete from schema_migrations where name like '0029%'")
      return { args: ['--data', data, ...only('database')] }
    },
  },
  {
    ...{ name: 'a store of a later version', finds: 'migrations_unknown', cause: /newer version/, remedy: /backup/ },
    make(bench) {
      const data = bench.hubCopy()
      bench.change(data, "insert into schema_migrations values ('9999-of-tomorrow', 1, '9.9.9')")
      return { args: ['--data', data, ...only('database')] }
    },
  },
  {
    ...{
      name: 'a raw # in the password of the database',
      finds: 'setting_refused',
      cause: /./,
      remedy: /PostgreSQL address/,
    },
    make: () => ({ env: { DATABASE_URL: 'postgres://a:b#c@127.0.0.1:5432/x' } }),
  },
  postgresFault('a database host that nobody knows', 'database_name_unresolved', /cannot be resolved/, /DNS/, (bench) =>
    bench.postgres.changed((url) => {
      url.hostname = 'db.invalid'
    }),
  ),
  postgresFault(
    'a database that does not run',
    'database_unreachable',
    /Nobody accepts/,
    /systemctl start postgresql/,
    (bench) =>
      bench.postgres.changed((url) => {
        url.port = '1'
      }),
  ),
  postgresFault(
    'a web server on the port of the database',
    'database_not_postgres',
    /Something else/,
    /5432/,
    async (bench) => `postgres://a:b@127.0.0.1:${await bench.speaking('HTTP/1.1 400 Bad Request\r\n\r\n')}/x`,
  ),
  postgresFault(
    'Redis on the port of the database',
    'database_not_postgres',
    /Something else/,
    /6379/,
    (bench) => `postgres://a:b@127.0.0.1:${new URL(bench.redis.url).port}/x`,
  ),
  postgresFault(
    'MySQL on the port of the database',
    'database_not_postgres',
    /Something else/,
    /3306/,
    async (bench) =>
      `postgres://a:b@127.0.0.1:${await bench.speaking('J\0\0\0\n8.0.36\0mysql_native_password\0', true)}/x`,
  ),
  postgresFault('a wrong password', 'database_password', /password/, /alter role/, (bench) =>
    bench.postgres.changed((url) => {
      url.password = 'wrong'
    }),
  ),
  postgresFault('a database that nobody made', 'database_missing', /no database/, /createdb/, (bench) =>
    bench.postgres.changed((url) => {
      url.pathname = '/nowhere'
    }),
  ),
  postgresFault('TLS that the server has not', 'database_tls', /TLS/, /sslmode/, (bench) =>
    bench.postgres.changed((url) => {
      url.searchParams.set('sslmode', 'require')
    }),
  ),
  ownFault('a role that may not log in', 'database_role_missing', /may not log in/, /create role/, (name) => [
    `alter role ${name} nologin`,
  ]),
  ownFault('no connection left', 'database_connections', /no connection left/, /pool_size/, (name) => [
    `alter role ${name} connection limit 0`,
  ]),
  ownFault(
    'a role that may not enter the database',
    'database_host_refused',
    /pg_hba|CONNECT/,
    /grant connect/,
    (name) => [`revoke connect on database ${name} from public`, `alter database ${name} owner to current_user`],
  ),
  ownFault('a role that only reads', 'database_grants', /only reads/, /primary/, (name) => [
    `alter role ${name} set default_transaction_read_only = on`,
  ]),
  {
    ...{
      name: 'a role that may make no tables',
      finds: 'database_grants',
      cause: /may not make tables/,
      remedy: /grant create/,
    },
    async make(bench) {
      const { url, name } = await bench.postgres.own()
      await within(url, `revoke all on schema public from public, ${name}`, 'create schema if not exists other')
      await bench.postgres.admin(`alter database ${name} owner to current_user`)
      await bench.postgres.admin(`grant connect on database ${name} to ${name}`)
      return { env: { DATABASE_URL: url }, args: only('database') }
    },
  },
  {
    ...{
      name: 'a table that the role may not touch',
      finds: 'database_grants',
      cause: /may not read and write/,
      remedy: /grant all/,
    },
    async make(bench) {
      const { url, name } = await bench.postgres.own()
      await within(url, `revoke all on api_keys from ${name}`)
      return { env: { DATABASE_URL: url }, args: only('database') }
    },
  },
  {
    ...{
      name: 'a session that blocks another',
      finds: 'database_locks',
      cause: /waited for locks/,
      remedy: /pg_terminate_backend/,
    },
    async make(bench) {
      const { url } = await bench.postgres.own()
      const [blocker, waiter] = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })]
      for (const each of [blocker, waiter]) each.on('error', () => {})
      await Promise.all([blocker.connect(), waiter.connect()])
      bench.undo(() => Promise.all([blocker.end(), waiter.end()]))
      await blocker.query('begin')
      await blocker.query('lock table api_keys in access exclusive mode')
      waiter.query('select count(*) from api_keys').catch(() => {})
      // Whoever waits for less than five seconds is no fault.
      await new Promise((resolve) => setTimeout(resolve, 5500))
      return { env: { DATABASE_URL: url }, args: only('database') }
    },
  },
]

/** Of Redis. */
const redises: readonly Fault[] = [
  redisFault(
    'a Redis host that nobody knows',
    'redis_name_unresolved',
    /cannot be resolved/,
    /DNS/,
    () => 'redis://redis.invalid:6379/0',
  ),
  redisFault(
    'a Redis that does not run',
    'redis_unreachable',
    /Nobody accepts/,
    /systemctl start redis/,
    () => 'redis://127.0.0.1:1/0',
  ),
  redisFault(
    'a web server on the port of Redis',
    'redis_not_redis',
    /Something else/,
    /6379/,
    async (bench) => `redis://127.0.0.1:${await bench.speaking('HTTP/1.1 400 Bad Request\r\n\r\n')}/0`,
  ),
  redisFault(
    'PostgreSQL on the port of Redis',
    'redis_not_redis',
    /Something else/,
    /6379/,
    (bench) => `redis://127.0.0.1:${new URL(bench.postgres.changed(() => {})).port}/0`,
  ),
  redisFault('a Redis that wants a password', 'redis_password', /wants a password/, /requirepass/, async (bench) => {
    await bench.redis.password()
    return bench.redis.url
  }),
  redisFault('another password than Redis has', 'redis_password', /password/, /redis:\/\//, async (bench) => {
    await bench.redis.password()
    return bench.redis.url.replace('redis://', 'redis://:wrong-password@')
  }),
  redisFault('a Redis whose memory is used up', 'redis_full', /memory is used up/, /maxmemory/, async (bench) => {
    await bench.redis.set('maxmemory', '1')
    return bench.redis.url
  }),
  redisFault(
    'a Redis that throws keys away',
    'redis_full',
    /throw away keys/,
    /noeviction/,
    async (bench) => {
      await bench.redis.set('maxmemory', '500mb')
      await bench.redis.set('maxmemory-policy', 'allkeys-lru')
      return bench.redis.url
    },
    'warn',
  ),
  redisFault('a Redis that is a replica', 'redis_full', /replica/, /primary/, async (bench) => {
    await bench.redis.command('REPLICAOF', '127.0.0.1', '1')
    bench.undo(() => bench.redis.command('REPLICAOF', 'NO', 'ONE'))
    return bench.redis.url
  }),
  redisFault('a database that Redis has not', 'redis_database', /no database of that number/, /databases/, (bench) =>
    bench.redis.url.replace(/\/0$/, '/99'),
  ),
  redisFault('no client left for us at Redis', 'redis_clients', /no connection left/, /maxclients/, async (bench) => {
    const held = new Redis(bench.redis.url)
    bench.undo(() => held.quit())
    await held.ping()
    await bench.redis.set('maxclients', '1')
    return bench.redis.url
  }),
]

/** Of the ledger and the audit log. */
const ledgers: readonly Fault[] = [
  storeFault('a row of the audit log that was changed', 'audit_broken', 'ledger', /not as it was written/, /backup/, [
    "update audit_log set action = 'nothing.happened' where seq = (select min(seq) from audit_log)",
  ]),
  storeFault('sums that are not what the rows say', 'ledger_drift', 'ledger', /do not add up/, /usage reconcile/, [
    'update usage_hourly set tokens_in = tokens_in + 7',
  ]),
  {
    ...{
      name: 'calls of a model without a price',
      finds: 'price_missing',
      status: 'warn',
      cause: /no price/,
      remedy: /\/api\/prices/,
    },
    make(bench) {
      const data = bench.hubCopy()
      bench.change(data, 'update request_logs set cost_nano_usd = null, tokens_in = 10')
      return { args: ['--data', data, ...only('ledger')] }
    },
  },
  {
    ...{
      name: 'rows that the store refused',
      finds: 'ledger_rejects',
      status: 'warn',
      cause: /refused 1 rows/,
      remedy: /LedgerRejected/,
    },
    make(bench) {
      const data = bench.hubCopy()
      mkdirSync(join(data, 'journal'), { recursive: true })
      writeFileSync(join(data, 'journal', 'rejects.jsonl'), '{"reason":"x"}\n')
      return { args: ['--data', data, ...only('ledger')] }
    },
  },
]

/** Of providers: the vendor answers each of these. */
const providers: readonly Fault[] = [
  vendorFault(
    'a key that the vendor refuses',
    'provider_key_refused',
    /refuses our key/,
    /new key/,
    401,
    failing('invalid_api_key', 'Incorrect API key provided'),
  ),
  vendorFault(
    'an account without quota',
    'provider_quota',
    /no money or quota/,
    /Top it up/,
    429,
    failing('insufficient_quota', 'You exceeded your current quota'),
  ),
  vendorFault(
    'an account without money',
    'provider_quota',
    /no money/,
    /Top it up/,
    402,
    failing('payment_required', 'Insufficient balance'),
  ),
  vendorFault(
    'a vendor that limits us',
    'provider_limited',
    /limits us/,
    /rate_limit/,
    429,
    failing('rate_limit_exceeded', 'Slow down'),
  ),
  vendorFault('a vendor that fails', 'provider_failed', /./, /status page/, 503, failing('server_error', 'Sorry')),
  vendorFault(
    'a vendor that answers with a web page',
    'provider_garbled',
    /does not speak its protocol/,
    /base_url/,
    200,
    '<html>not json</html>',
  ),
  {
    ...{
      name: 'a model that the vendor no longer has',
      finds: 'model_gone',
      status: 'warn',
      cause: /no longer list/,
      remedy: /successor/,
    },
    make(bench) {
      bench.vendor(200, { object: 'list', data: [{ id: 'another', object: 'model' }] })
      return { args: ['--data', bench.hubCopy(), ...only('providers')] }
    },
  },
  {
    ...{
      name: 'a vendor that cannot be reached',
      finds: 'provider_unreachable',
      cause: /cannot be reached/,
      remedy: /network\.proxy/,
    },
    make(bench) {
      const data = bench.hubCopy()
      bench.change(data, "update providers set base_url = 'http://127.0.0.1:1/v1'")
      return { args: ['--data', data, ...only('providers')] }
    },
  },
  storeFault('a key that died', 'provider_key_refused', 'providers', /refuses our key/, /new key/, [
    "update providers set key_state = 'dead', key_state_reason = 'refused twice'",
  ]),
  {
    ...{ name: 'two names that are each other', finds: 'alias_loop', cause: /circle/, remedy: /alias_of/ },
    make(bench) {
      const data = bench.hubCopy()
      bench.insert(data, 'models', { id: 'mdl_a', name: 'ring-a', enabled: 1, alias_of: 'mdl_b' })
      bench.insert(data, 'models', { id: 'mdl_b', name: 'ring-b', enabled: 1, alias_of: 'mdl_a' })
      return { args: ['--data', data, ...only('providers')] }
    },
  },
]

/** Of plugin services and channels. */
const services: readonly Fault[] = [
  {
    ...{
      name: 'a plugin service that nobody has registered',
      finds: 'service_empty',
      status: 'warn',
      cause: /Nobody has registered/,
      remedy: /registration token/,
    },
    make(bench) {
      const data = bench.hubCopy()
      bench.insert(data, 'services', { id: 'svc_a', name: 'weather', enabled: 1 })
      return { args: ['--data', data, ...only('services')] }
    },
  },
  {
    ...{
      name: 'a plugin that does not listen',
      finds: 'service_unreachable',
      cause: /do not accept connections/,
      remedy: /0\.0\.0\.0/,
    },
    make(bench) {
      const data = bench.hubCopy()
      bench.insert(data, 'services', { id: 'svc_a', name: 'weather', enabled: 1 })
      bench.insert(data, 'service_instances', { id: 'ins_a', service_id: 'svc_a', host: '127.0.0.1', port: 1 })
      return { args: ['--data', data, ...only('services')] }
    },
  },
  {
    ...{
      name: 'a channel that refuses our signature',
      finds: 'webhook_signing',
      cause: /signature/,
      remedy: /clock_skew/,
    },
    make(bench) {
      const data = bench.hubCopy()
      bench.insert(data, 'deliveries', {
        ...{ id: 'ntf_a', channel_id: 'chn_a', channel_name: 'duty', state: 'failed', reason: 'credentials' },
        ...{ message: '310000: sign not match', created_at: Date.now() - 1000 },
      })
      return { args: ['--data', data, ...only('services')] }
    },
  },
]

/** Of backups. */
const backups: readonly Fault[] = [
  {
    ...{ name: 'no backup for days', finds: 'backup_old', cause: /no usable backup/, remedy: /backup now/ },
    make(bench) {
      const data = bench.hubCopy()
      rmSync(join(data, 'backups'), { recursive: true, force: true })
      bench.change(data, `update schema_migrations set applied_at = ${daysAgo(7)}`)
      return { args: ['--data', data, ...only('backups')] }
    },
  },
  {
    ...{
      name: 'a backup that was cut off',
      finds: 'backup_unusable',
      status: 'warn',
      cause: /cannot be used/,
      remedy: /new one/,
    },
    make(bench) {
      const data = bench.hubCopy()
      mkdirSync(join(data, 'backups'), { recursive: true })
      writeFileSync(join(data, 'backups', 'bak_01m8gyhgdw3y4twdqt24x3a0pd.ghb'), 'GH')
      return { args: ['--data', data, ...only('backups')] }
    },
  },
  {
    ...{
      name: 'a restore that was killed',
      finds: 'restore_unfinished',
      status: 'warn',
      cause: /cut off before the store was exchanged: the store is the one from before, whole/,
      remedy: /begins anew; --fix/,
    },
    make(bench) {
      const data = bench.hubCopy()
      writeFileSync(join(data, 'gatehouse.db.restoring'), 'half')
      const note = { id: 'bak_1', step: 'building', beside: 'restoring', pid: 999_999_999, host: 'here', at: 1 }
      writeFileSync(join(data, 'restore.json'), JSON.stringify(note))
      return { args: ['--data', data, ...only('backups')] }
    },
  },
  {
    ...{
      name: 'restoring that nobody has tried',
      finds: 'drill_old',
      status: 'warn',
      cause: /Nobody has proved/,
      remedy: /backup drill/,
    },
    make(bench) {
      const data = bench.hubCopy()
      bench.change(data, `update schema_migrations set applied_at = ${daysAgo(100)}`)
      return { args: ['--data', data, ...only('backups')] }
    },
  },
]

/** Of what is before the hub. */
const edges: readonly Fault[] = [
  {
    ...{
      name: 'a certificate that nobody trusts',
      finds: 'certificate_ending',
      cause: /not believed/,
      remedy: /fullchain/,
    },
    make: async (bench) => ({ ...publicAt(`https://localhost:${await bench.tls(300)}`), args: only('edge') }),
  },
  {
    ...{
      name: 'another program at the public address',
      finds: 'public_address',
      cause: /something else answers/,
      remedy: /upstream/,
    },
    async make(bench) {
      const port = await bench.web(() => ({ status: 502, body: '<h1>502 Bad Gateway</h1>' }))
      return { ...publicAt(`http://127.0.0.1:${port}`), args: only('edge') }
    },
  },
  {
    ...{
      name: 'nobody at the public address',
      finds: 'public_address',
      cause: /Nobody answers/,
      remedy: /proxy running/,
    },
    make: () => ({ ...publicAt('http://127.0.0.1:1'), args: only('edge') }),
  },
  {
    ...{
      name: 'a proxy that keeps streams back',
      finds: 'proxy_buffers',
      cause: /keeps streams back/,
      remedy: /proxy_buffering off/,
    },
    async make(bench) {
      const port = await bench.web(() => ({
        ...{ status: 200, type: 'text/event-stream' },
        body: [1, 2, 3, 4].map((drop) => `event: drop\ndata: {"drop":${drop}}\n\n`).join(''),
      }))
      const { env } = publicAt(`http://127.0.0.1:${port}`)
      return { env: { ...env, ADMIN_KEY: 'a-long-key-for-the-fault-bench-0123456789' }, args: only('edge') }
    },
  },
  {
    ...{
      name: 'an origin that differs by its scheme',
      finds: 'cors_mismatch',
      status: 'warn',
      cause: /scheme or port/,
      remedy: /scheme, host and port/,
    },
    async make(bench) {
      const port = await bench.web(() => ({ status: 200, body: '{"status":"alive"}' }))
      const { env } = publicAt(`http://hub.localhost:${port}`)
      return { env: { ...env, CORS_ORIGINS: `https://hub.localhost:${port}` }, args: only('edge') }
    },
  },
  {
    ...{
      name: 'a proxy that answers preflights without the origin',
      finds: 'cors_mismatch',
      cause: /are refused/,
      remedy: /OPTIONS/,
    },
    async make(bench) {
      const port = await bench.web(() => ({ status: 200, body: '{"status":"alive"}' }))
      return { env: { GATEHOUSE_SERVER_PORT: `${port}`, CORS_ORIGINS: 'https://app.example.com' }, args: only('edge') }
    },
  },
]

export const faults: readonly Fault[] = [
  ...here,
  ...stores,
  ...redises,
  ...ledgers,
  ...providers,
  ...services,
  ...backups,
  ...edges,
]

type Made = Awaited<ReturnType<Fault['make']>>
type Bench = Parameters<Fault['make']>[0]
type Address = (bench: Bench) => string | Promise<string>

function postgresFault(name: string, finds: string, cause: RegExp, remedy: RegExp, address: Address): Fault {
  const make = async (bench: Bench): Promise<Made> => ({
    env: { DATABASE_URL: await address(bench) },
    args: only('database'),
  })
  return { name, finds, cause, remedy, make }
}

function ownFault(name: string, finds: string, cause: RegExp, remedy: RegExp, how: (name: string) => string[]): Fault {
  return postgresFault(name, finds, cause, remedy, async (bench) => {
    const own = await bench.postgres.own()
    for (const statement of how(own.name)) await bench.postgres.admin(statement)
    return own.url
  })
}

function redisFault(
  name: string,
  finds: string,
  cause: RegExp,
  remedy: RegExp,
  address: Address,
  status: 'fail' | 'warn' = 'fail',
): Fault {
  const make = async (bench: Bench): Promise<Made> => ({
    env: { REDIS_URL: await address(bench) },
    args: only('redis'),
  })
  return { name, finds, status, cause, remedy, make }
}

function storeFault(
  name: string,
  finds: string,
  area: string,
  cause: RegExp,
  remedy: RegExp,
  statements: string[],
): Fault {
  return {
    ...{ name, finds, cause, remedy },
    make(bench) {
      const data = bench.hubCopy()
      bench.change(data, ...statements)
      return { args: ['--data', data, ...only(area)] }
    },
  }
}

function vendorFault(name: string, finds: string, cause: RegExp, remedy: RegExp, status: number, body: unknown): Fault {
  return {
    ...{ name, finds, cause, remedy },
    make(bench) {
      bench.vendor(status, body)
      return { args: ['--data', bench.hubCopy(), ...only('providers')] }
    },
  }
}

function publicAt(url: string): { env: Record<string, string> } {
  return { env: { GATEHOUSE_SERVER_PUBLIC_URL: url } }
}

function file(folder: string, name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

function daysAgo(days: number): number {
  return Date.now() - days * 86_400_000
}

async function within(url: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}
