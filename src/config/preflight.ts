import ipaddr from 'ipaddr.js'
import { checkFolderUse } from '../platform/data-folder.ts'
import type { Environment } from './environment.ts'
import type { Finding } from './words.ts'

/** Values that stand in guides and templates, and so in every attacker's list. */
const knownSecrets = [
  'admin',
  'admin-secret-key-change-this',
  'change-me',
  'change-this',
  'changeme',
  'default',
  'password',
  'secret',
  'your-admin-key',
  'your-secret-key',
  'your_admin_key',
]
const leastSecretLength = 16

/** Secrets that a stranger could guess: refused when the hub can be reached from outside, else pointed out. */
export function checkSecrets(
  config: { server: { host: string }; auth: { admin_key: string } },
  env: Environment,
  whereOf: (name: string) => string,
): Finding[] {
  const level = isLoopback(config.server.host) ? 'warning' : 'error'
  const secrets = [
    { name: 'auth.admin_key', value: config.auth.admin_key, where: whereOf('auth.admin_key') },
    { name: '', value: env.GATEHOUSE_SECRET_KEY ?? '', where: 'GATEHOUSE_SECRET_KEY' },
  ]
  return secrets
    .filter(({ value }) => value !== '' && isGuessable(value))
    .map(({ name, value, where }): Finding => {
      const isKnown = knownSecrets.includes(value.toLowerCase())
      return {
        level,
        where,
        setting: name,
        cause: isKnown
          ? { en: 'This secret is a default that everybody knows.', zh: '该密钥是众所周知的默认值。' }
          : {
              en: `This secret is shorter than ${leastSecretLength} characters or hardly random.`,
              zh: `该密钥少于 ${leastSecretLength} 个字符或几乎不随机。`,
            },
        remedy: {
          en: `Take a random one: openssl rand -hex 32${level === 'error' ? `; or listen on 127.0.0.1 only (now ${config.server.host}).` : '.'}`,
          zh: `请改用随机值：openssl rand -hex 32${level === 'error' ? `；或只监听 127.0.0.1（当前为 ${config.server.host}）。` : '。'}`,
        },
      }
    })
}

/** Settings that mean nothing without others. */
export function checkTogether(
  config: {
    server: { public_url: string }
    mail: { url: string }
    database: { url: string; replica_url: string }
    auth: { oidc: { issuer: string; client_id: string; redirect_url: string } }
  },
  whereOf: (name: string) => string,
): Finding[] {
  const { server, mail, auth, database } = config
  const missing = (name: string, needs: string, whyEn: string, whyZh: string): Finding => ({
    level: 'error',
    where: whereOf(name),
    setting: name,
    cause: {
      en: `${name} is set, but ${needs} is not: ${whyEn}.`,
      zh: `已设置 ${name}，但未设置 ${needs}：${whyZh}。`,
    },
    remedy: { en: `Set ${needs}, or leave ${name} empty.`, zh: `请设置 ${needs}，或将 ${name} 留空。` },
  })
  const findings: Finding[] = []
  if (database.replica_url !== '' && !/^postgres(ql)?:/i.test(database.url)) {
    const zh = '只读副本属于一个 PostgreSQL 主库'
    findings.push(missing('database.replica_url', 'database.url', 'a replica is one of a PostgreSQL', zh))
  }
  if (mail.url !== '' && server.public_url === '') {
    const zh = '邮件中的链接不能取自请求的 Host 头'
    findings.push(missing('mail.url', 'server.public_url', 'links in mails are never made from what a caller says', zh))
  }
  if (auth.oidc.issuer !== '' && auth.oidc.client_id === '') {
    findings.push(
      missing(
        'auth.oidc.issuer',
        'auth.oidc.client_id',
        'the provider has to know who asks',
        '身份提供方需要知道是谁在请求',
      ),
    )
  }
  if (auth.oidc.issuer !== '' && auth.oidc.redirect_url === '' && server.public_url === '') {
    const zh = '身份提供方需要知道登录后回到何处'
    findings.push(
      missing('auth.oidc.issuer', 'server.public_url', 'the provider has to know where people go back to', zh),
    )
  }
  return findings
}

function isGuessable(secret: string): boolean {
  return knownSecrets.includes(secret.toLowerCase()) || secret.length < leastSecretLength || new Set(secret).size < 6
}

/** Whether only this machine can reach `host`. */
function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback'
}

/** What keeps the data folder from being used, with its owner and mode. */
export function checkFolder(path: string, make: boolean, where: string): Finding[] {
  const trouble = checkFolderUse(path, make)
  if (trouble === null) return []
  const { blocker, runningAs, reason } = trouble
  const kindZh = blocker.kind === 'folder' ? '目录' : '文件'
  return [
    {
      level: 'error',
      where,
      setting: 'data.dir',
      cause: {
        en: `The data folder ${trouble.path} cannot be used: ${reason}. The ${blocker.kind} ${blocker.path} belongs to ${blocker.owner} with mode ${blocker.mode}; the hub runs as ${runningAs}.`,
        zh: `无法使用数据目录 ${trouble.path}：${reason}。${kindZh} ${blocker.path} 属于 ${blocker.owner}，权限 ${blocker.mode}；当前运行用户为 ${runningAs}。`,
      },
      remedy:
        blocker.kind === 'file'
          ? {
              en: `Move the file ${blocker.path} away, or set data.dir to another folder.`,
              zh: `请移走文件 ${blocker.path}，或将 data.dir 设为其他目录。`,
            }
          : {
              en: `Give it to that user (chown -R USER ${blocker.path}; chmod 700), free some space, or set data.dir to a folder that user owns.`,
              zh: `请将其交给该用户（chown -R 用户 ${blocker.path}；chmod 700）、释放磁盘空间，或将 data.dir 设为该用户拥有的目录。`,
            },
    },
  ]
}
