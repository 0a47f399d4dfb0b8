/**
 * What the five guides that the hub grew out of list as failures, each with the test that makes it happen here. The page
 * docs/reference/failures.md is made of this, and a house test holds that every test is there.
 */
export type Failure = { seed: string; en: string; zh: string; findings: readonly string[]; tests: readonly Shown[] }
type Shown = readonly [file: string, name: string]

const faults = (...names: string[]): Shown[] => names.map((name) => ['test/faults/faults.ts', name])
const benched = (...names: string[]): Shown[] => names.map((name) => ['test/faults/faults.test.ts', name])
const launcher = (...names: string[]): Shown[] => names.map((name) => ['test/house/launcher.test.ts', name])
const starting = (...names: string[]): Shown[] => names.map((name) => ['test/journeys/start-up.test.ts', name])
const problems = (...names: string[]): Shown[] => names.map((name) => ['test/journeys/seed-002-problems.test.ts', name])
const packs = (...names: string[]): Shown[] => names.map((name) => ['src/alerts/rules/pack.test.ts', name])
const jobs = (...names: string[]): Shown[] => names.map((name) => ['src/maintenance/jobs/jobs.test.ts', name])

const deps = launcher('without dependencies one line says npm ci, in both languages, and the exit code is 78')
const oldNode = launcher('an old Node alone is told what to install, in one line, and the exit code is 78')
const noPackage = benched('a package that is not installed, and a launcher that may not be run, are found')
const dbAway = faults('a database that does not run')
const dbCases = faults('a wrong password', 'a database that nobody made', 'a role that may not log in')

export const failures: readonly Failure[] = [
  row(
    '000 §1',
    'A library changed its words: the API does not start',
    '依赖版本不兼容，API 无法启动',
    ['runtime_old', 'dependency_missing'],
    [...oldNode, ...noPackage],
  ),
  row('000 §2', 'The worker cannot import its parts', 'Worker 导入失败', ['dependency_missing'], deps),
  row(
    '000 §3',
    'Settings of a test, another database host',
    '数据库连接配置错误',
    ['database_name_unresolved', 'database_password'],
    [...faults('a database host that nobody knows'), ...dbCases],
  ),
  row(
    '000',
    'Database accounts without rights',
    '数据库用户权限问题',
    ['database_grants'],
    faults('a role that may make no tables', 'a table that the role may not touch', 'a role that only reads'),
  ),
  row(
    '000',
    'Containers cannot reach each other',
    '容器间网络不通',
    ['database_name_unresolved', 'redis_name_unresolved'],
    faults('a database host that nobody knows', 'a Redis host that nobody knows'),
  ),
  row(
    '001 §1',
    'A container that starts again and again',
    '容器反复重启',
    ['setting_refused', 'database_unreachable'],
    [...faults('a setting that does not exist'), ...dbAway],
  ),
  row(
    '001 §2',
    'Migrations that are missing, fail or conflict',
    '迁移失败或冲突',
    ['migrations_pending', 'migrations_unknown'],
    [
      ...faults('a store of an earlier version', 'a store of a later version'),
      ...starting('a migration that fails stops the start, and nothing of it or after it is there'),
    ],
  ),
  row('001 §3', 'An entry point that may not be run', '入口脚本权限错误', ['entry_points'], noPackage),
  row(
    '001 §4',
    'The database is not ready yet',
    '数据库未就绪',
    ['database_starting', 'database_unreachable'],
    [
      [
        'src/platform/database/wait.test.ts',
        'a store that comes up late is waited for, with a reason for each failed try',
      ],
      ...dbAway,
    ],
  ),
  row('002 §1', 'Modules that are not found', '模块导入错误', ['dependency_missing'], deps),
  row('002 §2', 'Another version of a library', '依赖版本问题', ['runtime_old'], oldNode),
  row(
    '002 §3',
    'The database cannot be reached',
    '数据库连接失败',
    ['database_unreachable', 'database_missing'],
    [...dbAway, ...faults('a database that nobody made')],
  ),
  row(
    '002 §4',
    'The image does not build',
    'Docker 构建失败',
    [],
    [
      [
        'test/deploy/manifests.test.ts',
        'is of the Node that the project is developed with, and is copied from what is there',
      ],
    ],
  ),
  row(
    '002 §5',
    'A port in use',
    '端口被占用',
    ['port_taken'],
    [
      ...faults('a port that another program has'),
      ...problems(
        'problem 5, the port is in use: the process that has it is named, and how to stop it or go elsewhere',
      ),
    ],
  ),
  row(
    '002 §6',
    'Registration fails',
    '服务注册失败',
    ['service_empty', 'service_unreachable'],
    faults('a plugin service that nobody has registered', 'a plugin that does not listen'),
  ),
  row('002 §7', 'Dependencies do not install', '依赖安装失败', ['dependency_missing'], deps),
  row('002 §8', 'Passwords of more than 72 bytes', 'Bcrypt 版本兼容性', [], problems('of more than 72 bytes')),
  row('002 §9', 'A reserved field name', 'metadata 字段冲突', [], problems('metadata')),
  row(
    '002 §10',
    'Proxy variables between services',
    '代理环境变量干扰',
    ['proxy_variables'],
    [
      ...faults('a proxy that catches calls of this machine to itself', 'a SOCKS proxy for everything'),
      ...problems('problem 10, proxy variables: hub to plugin, plugin to hub and hub to provider go straight'),
    ],
  ),
  row(
    '002 §11',
    'A role that does not exist; another server on the port',
    '角色不存在或端口上是其他服务',
    ['database_role_missing', 'database_not_postgres'],
    [
      ...problems('has no such role: the statement that makes it'),
      ...faults(
        'MySQL on the port of the database',
        'Redis on the port of the database',
        'a web server on the port of the database',
      ),
    ],
  ),
  row('002 §12', 'Mail addresses cannot be checked', '邮箱校验依赖缺失', [], problems('@example.com')),
  row(
    '002 §13',
    'CORS',
    '前端 CORS 错误',
    ['cors_mismatch'],
    faults('an origin that differs by its scheme', 'a proxy that answers preflights without the origin'),
  ),
  row(
    '002',
    'Slow: pool, cache, workers',
    '运行缓慢',
    ['database_connections', 'database_locks'],
    [...faults('no connection left', 'a session that blocks another'), ...jobs('a busy day')],
  ),
  row(
    '003 §3.1',
    'Cannot start: port, configuration, database, variable, dependency',
    '应用无法启动',
    ['port_taken', 'configuration_unreadable', 'setting_doubtful'],
    [
      ...faults(
        'a configuration that is no TOML',
        'a setting out of its range',
        'a variable that is nearly a setting',
        'an address that this machine has not',
      ),
      ...starting('a port in use stops the start and names the process that has it'),
    ],
  ),
  row(
    '003 §3.2',
    'The database: down, connections, network, password, missing, firewall',
    '数据库连接失败',
    ['database_unreachable', 'database_connections', 'database_password', 'database_host_refused'],
    [...dbAway, ...dbCases, ...faults('no connection left', 'a role that may not enter the database')],
  ),
  row(
    '003 §3.3',
    'Redis: down, memory, clients, password, network',
    'Redis 连接失败',
    ['redis_unreachable', 'redis_full', 'redis_clients', 'redis_password'],
    faults(
      'a Redis that does not run',
      'a Redis whose memory is used up',
      'no client left for us at Redis',
      'a Redis that wants a password',
      'another password than Redis has',
    ),
  ),
  row(
    '003 §3.4',
    'Slow: queries, cache, load, resources',
    '性能问题',
    ['database_locks', 'memory_low', 'open_files'],
    [
      ...faults('a session that blocks another'),
      ...packs('processors at 82 % for a while, then at 90 %'),
      ...benched('few open files are found by a process that may have few'),
    ],
  ),
  row(
    '003 §3.5',
    'Calls of models: key, quota, network, vendor, format',
    'AI 调用失败',
    ['provider_key_refused', 'provider_quota', 'provider_unreachable', 'provider_failed', 'provider_garbled'],
    faults(
      'a key that the vendor refuses',
      'an account without quota',
      'an account without money',
      'a vendor that limits us',
      'a vendor that cannot be reached',
      'a vendor that fails',
      'a vendor that answers with a web page',
    ),
  ),
  row(
    '003 §1.2',
    'Data damaged, lost, inconsistent, locked',
    '数据损坏、丢失、不一致、锁死',
    ['database_file', 'audit_broken', 'ledger_drift', 'database_locks'],
    faults(
      'a store that is no database',
      'a store that was cut off',
      'a row of the audit log that was changed',
      'sums that are not what the rows say',
      'a session that blocks another',
    ),
  ),
  row(
    '003 §1.2',
    'Security: others read what they may not',
    '未授权访问',
    ['secret_weak', 'secret_key_open', 'data_folder_open'],
    faults(
      'an ADMIN_KEY that stands in every guide',
      'a master key that others may read',
      'a data folder that others may enter',
    ),
  ),
  row(
    '003 §6.2',
    'Backups that are old, broken, never tried',
    '备份与演练缺失',
    ['backup_old', 'backup_unusable', 'drill_old', 'restore_unfinished'],
    faults(
      ...['no backup for days', 'a backup that was cut off', 'a restore that was killed'],
      'restoring that nobody has tried',
    ),
  ),
  row(
    '004 §1',
    'A service does not start',
    '服务启动失败',
    ['configuration_unreadable', 'data_folder_unusable'],
    faults('a configuration file that is not there', 'a data folder on a disk that may not be written'),
  ),
  row('004 §2', 'The database cannot be reached', '数据库连接问题', ['database_unreachable'], dbAway),
  row(
    '004 §3',
    'Slow; a disk that fills up',
    '性能问题、磁盘写满',
    ['disk_full'],
    [
      ...faults('a disk that is nearly full', 'a disk that is full'),
      ...packs('a disk at 86 % is a warning, at 96 % a catastrophe'),
    ],
  ),
]

function row(seed: string, en: string, zh: string, findings: readonly string[], tests: readonly Shown[]): Failure {
  return { seed, en, zh, findings, tests }
}
