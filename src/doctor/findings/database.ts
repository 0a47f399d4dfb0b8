import type { PostgresFault } from '../../platform/diagnose/postgres.ts'
import { bad, defineFinding, type Finding, ok, type Seen, skip, unknown, type Words, warn } from '../finding.ts'
import type { World } from '../world.ts'

type Known = { fault: PostgresFault; id: string; fine: string; cause: Words; remedy: Words }

/** What can keep us from PostgreSQL, in the order in which a connection meets it. */
const known: readonly Known[] = [
  {
    ...{ fault: 'address', id: 'database_address', fine: 'the address can be read' },
    cause: { en: 'The database address cannot be read.', zh: '无法解析数据库地址。' },
    remedy: {
      en: 'Write postgres://user:password@host:5432/database and percent-encode special characters of the password (# is %23, @ is %40, / is %2F).',
      zh: '请写作 postgres://用户:密码@主机:5432/数据库，密码中的特殊字符需百分号编码（# 为 %23，@ 为 %40，/ 为 %2F）。',
    },
  },
  {
    ...{ fault: 'name', id: 'database_name_unresolved', fine: 'the host has an address' },
    cause: { en: 'The name of the database host cannot be resolved.', zh: '数据库主机名无法解析。' },
    remedy: {
      en: 'Mend the host in database.url, or DNS; in Docker both containers need one network, and "localhost" is the container itself.',
      zh: '请更正 database.url 中的主机名或修复 DNS；Docker 中两个容器须在同一网络，localhost 指容器自身。',
    },
  },
  {
    ...{ fault: 'unreachable', id: 'database_unreachable', fine: 'the server accepts connections' },
    cause: {
      en: 'Nobody accepts connections where the database should be: it does not run, another port is meant, or a firewall is between.',
      zh: '数据库地址上无法建立连接：数据库未启动、端口不对或被防火墙拦截。',
    },
    remedy: {
      en: 'Start PostgreSQL (systemctl start postgresql, docker compose up -d postgres), or mend host and port in database.url. From a container the host is not "localhost".',
      zh: '请启动 PostgreSQL（systemctl start postgresql 或 docker compose up -d postgres），或更正 database.url 的主机与端口；容器内不要使用 localhost。',
    },
  },
  {
    ...{ fault: 'not_postgres', id: 'database_not_postgres', fine: 'the server is PostgreSQL' },
    cause: { en: 'Something else than PostgreSQL listens on that port.', zh: '该端口上的服务不是 PostgreSQL。' },
    remedy: {
      en: 'Mend the port in database.url: PostgreSQL has 5432 unless somebody chose another (MySQL 3306, Redis 6379).',
      zh: '请更正 database.url 的端口：PostgreSQL 默认 5432（MySQL 3306，Redis 6379）。',
    },
  },
  {
    ...{ fault: 'tls', id: 'database_tls', fine: 'both sides agree about TLS' },
    cause: {
      en: 'The database and the address disagree about TLS, or its certificate is not trusted.',
      zh: '数据库与地址的 TLS 设置不一致，或其证书不受信任。',
    },
    remedy: {
      en: 'Take sslmode out of database.url where the server has no TLS; give sslrootcert=<file> where its certificate is of an authority of your own.',
      zh: '服务器未启用 TLS 时从 database.url 去掉 sslmode；自签证书请加 sslrootcert=<文件>。',
    },
  },
  {
    ...{ fault: 'refused_host', id: 'database_host_refused', fine: 'the server lets us in from here' },
    cause: {
      en: 'PostgreSQL does not let this role come from this machine, or not into this database (pg_hba.conf, CONNECT).',
      zh: 'PostgreSQL 不允许该角色从本机或向该数据库连接（pg_hba.conf、CONNECT 权限）。',
    },
    remedy: {
      en: 'Add a line for this address to pg_hba.conf and reload (select pg_reload_conf()), or grant connect on database … to ….',
      zh: '请在 pg_hba.conf 中增加该地址并重载（select pg_reload_conf()），或执行 grant connect on database … to …。',
    },
  },
  {
    ...{ fault: 'role', id: 'database_role_missing', fine: 'the role is there' },
    cause: {
      en: 'PostgreSQL has no such role, or it may not log in.',
      zh: 'PostgreSQL 中不存在该角色，或该角色不允许登录。',
    },
    remedy: {
      en: "create role … login password '…', or mend the user in database.url.",
      zh: "执行 create role … login password '…'，或更正 database.url 中的用户。",
    },
  },
  {
    ...{ fault: 'password', id: 'database_password', fine: 'the password is right' },
    cause: {
      en: 'PostgreSQL refuses the password. It says the same of a role that does not exist.',
      zh: 'PostgreSQL 拒绝该密码；角色不存在时也会给出同样的提示。',
    },
    remedy: {
      en: "Mend the password in database.url (special characters percent-encoded), or set it: alter role … password '…'; look with \\du whether the role exists.",
      zh: "请更正 database.url 中的密码（特殊字符需百分号编码），或执行 alter role … password '…'；用 \\du 确认角色存在。",
    },
  },
  {
    ...{ fault: 'database', id: 'database_missing', fine: 'the database is there' },
    cause: { en: 'The server has no database of that name.', zh: '服务器上没有该名称的数据库。' },
    remedy: {
      en: 'createdb -O <role> <database>, or mend the name at the end of database.url.',
      zh: '执行 createdb -O <角色> <数据库>，或更正 database.url 末尾的库名。',
    },
  },
  {
    ...{ fault: 'connections', id: 'database_connections', fine: 'there is a connection for us' },
    cause: { en: 'PostgreSQL has no connection left for us.', zh: 'PostgreSQL 的连接数已用尽。' },
    remedy: {
      en: 'See who has them (select usename, state, count(*) from pg_stat_activity group by 1, 2), lower database.pool_size of the nodes, or raise max_connections or the connection limit of the role.',
      zh: '查看占用者（select usename, state, count(*) from pg_stat_activity group by 1, 2），降低各节点的 database.pool_size，或提高 max_connections 及角色连接上限。',
    },
  },
  {
    ...{ fault: 'starting', id: 'database_starting', fine: 'the server has started' },
    cause: { en: 'PostgreSQL is starting or stopping.', zh: 'PostgreSQL 正在启动或停止。' },
    remedy: {
      en: 'Wait; when it does not end, read its log. A start of the hub waits database.wait_tries × wait_interval_seconds.',
      zh: '请等待；若持续不变请查看其日志。服务启动时会等待 database.wait_tries × wait_interval_seconds。',
    },
  },
  {
    ...{ fault: 'other', id: 'database_refused', fine: 'the server has no other objection' },
    cause: {
      en: 'PostgreSQL refuses us for another reason, which it says itself.',
      zh: 'PostgreSQL 因其他原因拒绝连接，见其原文。',
    },
    remedy: { en: 'Read the evidence and the log of PostgreSQL.', zh: '请查看证据与 PostgreSQL 日志。' },
  },
]

export const connecting: readonly Finding[] = known.map(({ fault, id, fine, cause, remedy }, place) =>
  defineFinding({
    ...{ id, area: 'database', severity: 'critical' },
    async run({ postgres, settings, whereOf }) {
      if (settings === null) return skip('the address is not known')
      const look = await postgres()
      if (look === null) return skip('the store is SQLite')
      if (look.kind === 'fault' && look.fault === fault) {
        return bad(`${look.where} (${whereOf('database.url')}): ${look.message}`, cause, remedy)
      }
      if (fault === 'connections' && look.kind === 'open' && look.connections > look.maxConnections * 0.9) {
        return warn(
          `${look.connections} of ${look.maxConnections} connections are taken`,
          { en: 'PostgreSQL has hardly a connection left.', zh: 'PostgreSQL 的连接即将用尽。' },
          remedy,
        )
      }
      const stoppedAt = look.kind === 'fault' ? known.findIndex((each) => each.fault === look.fault) : known.length
      if (stoppedAt >= place || look.kind === 'open') return ok(fine)
      return waitsFor(known[stoppedAt]!.id)
    },
  }),
)

function waitsFor(id: string): Seen {
  return unknown(`waits for ${id}`, { en: 'We did not get that far.', zh: '尚未进行到这一步。' })
}

export const storeDamaged = defineFinding({
  id: 'database_file',
  area: 'database',
  severity: 'critical',
  async run({ settings, isPostgres, store }) {
    if (settings === null) return skip('the address is not known')
    if (isPostgres) return skip('the store is PostgreSQL')
    const opened = await store()
    if (opened.kind === 'absent') return skip(`${opened.where} will be made by the first start`)
    if (opened.kind === 'open') return ok('the file opens and answers')
    return bad(
      opened.message,
      {
        en: 'The file of the embedded store cannot be opened: it is damaged, no database, locked, or of another owner.',
        zh: '内嵌数据库文件无法打开：文件损坏、不是数据库、被锁定或属主不同。',
      },
      {
        en: 'Look at its owner and mode. Where it is damaged: gatehouse backup restore newest --yes, which keeps it beside.',
        zh: '请检查属主与权限；若已损坏：gatehouse backup restore newest --yes（原文件会保留）。',
      },
    )
  },
})

export const grantMissing = defineFinding({
  id: 'database_grants',
  area: 'database',
  severity: 'critical',
  async run({ postgres }) {
    const look = await postgres()
    if (look === null) return skip('the store is SQLite')
    if (look.kind === 'fault') return waitsFor('the connection')
    if (look.isReadOnly) {
      return bad(
        `${look.where}: read only`,
        {
          en: 'The server, or the role, only reads: it is a replica, or default_transaction_read_only is on.',
          zh: '服务器或角色为只读：连接到了副本，或开启了 default_transaction_read_only。',
        },
        {
          en: 'Let database.url lead to the primary server; alter role … set default_transaction_read_only = off.',
          zh: '请将 database.url 指向主库；或执行 alter role … set default_transaction_read_only = off。',
        },
      )
    }
    if (look.canCreate && look.forbidden.length === 0)
      return ok(`the role may do what the hub does (PostgreSQL ${look.version})`)
    return bad(
      look.canCreate ? `forbidden: ${look.forbidden.join(', ')}` : `${look.where}: no CREATE on the schema`,
      look.canCreate
        ? {
            en: `The role may not read and write these tables: ${look.forbidden.join(', ')}.`,
            zh: `该角色无权读写以下表：${look.forbidden.join('、')}。`,
          }
        : {
            en: 'The role may not make tables in the schema, which migrations need. Since PostgreSQL 15 nobody may in "public" unless told.',
            zh: '该角色无权在模式中建表，迁移会失败。PostgreSQL 15 起 public 模式默认不允许建表。',
          },
      look.canCreate
        ? {
            en: 'grant all on all tables in schema public to <role>, or alter table … owner to <role>.',
            zh: '执行 grant all on all tables in schema public to <角色>，或 alter table … owner to <角色>。',
          }
        : {
            en: 'grant create on schema public to <role>, or alter database … owner to <role>.',
            zh: '执行 grant create on schema public to <角色>，或 alter database … owner to <角色>。',
          },
    )
  },
})

export const lockWaits = defineFinding({
  id: 'database_locks',
  area: 'database',
  severity: 'major',
  async run({ postgres }) {
    const look = await postgres()
    if (look === null) return skip('the store is SQLite')
    if (look.kind === 'fault') return waitsFor('the connection')
    if (look.lockWaits.length === 0) return ok('nobody waits for a lock for long')
    return bad(
      look.lockWaits.join('; '),
      {
        en: 'Statements have waited for locks of others for more than five seconds.',
        zh: '有语句等待锁超过五秒。',
      },
      {
        en: 'Who blocks is named: end what it does, or the session (select pg_terminate_backend(PID)); never all idle ones.',
        zh: '证据中给出了阻塞者：结束其操作或会话（select pg_terminate_backend(PID)），不要终止全部空闲会话。',
      },
    )
  },
})

export const migrationsPending = defineFinding({
  id: 'migrations_pending',
  area: 'database',
  severity: 'major',
  async run(world) {
    const states = await statesOf(world)
    if (!Array.isArray(states)) return states
    const pending = states.filter(({ appliedAt }) => appliedAt === null)
    if (pending.length === 0) return ok(`${states.length} migrations are applied`)
    return warn(
      pending
        .map(({ name }) => name)
        .slice(0, 5)
        .join(', '),
      {
        en: `${pending.length} migrations of this program are not applied: the store is of an earlier version.`,
        zh: `有 ${pending.length} 个迁移尚未执行：数据库来自较早的版本。`,
      },
      {
        en: 'Start the hub, or run gatehouse migrate up; a backup is taken before.',
        zh: '启动服务，或执行 gatehouse migrate up；执行前会自动备份。',
      },
    )
  },
})

export const migrationsUnknown = defineFinding({
  id: 'migrations_unknown',
  area: 'database',
  severity: 'critical',
  async run(world) {
    const states = await statesOf(world)
    if (!Array.isArray(states)) return states
    const foreign = states.filter(({ isKnown }) => !isKnown)
    if (foreign.length === 0) return ok('the program knows every migration of the store')
    return bad(
      foreign
        .map(({ name }) => name)
        .slice(0, 5)
        .join(', '),
      {
        en: 'The store has migrations that this program does not know: a newer version, or another program, has changed it.',
        zh: '数据库包含本程序未知的迁移：曾由更新版本或其他程序修改。',
      },
      {
        en: 'Run the version that made them, or restore the backup that was taken before (gatehouse backup list, kind migration).',
        zh: '请运行对应的新版本，或恢复迁移前的备份（gatehouse backup list，类型 migration）。',
      },
    )
  },
})

async function statesOf({ store, migrations }: World) {
  const opened = await store()
  if (opened.kind === 'absent') return skip('there is no store yet')
  if (opened.kind === 'fault') return waitsFor('the store')
  return (await migrations())!
}
