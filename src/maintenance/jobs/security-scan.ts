import { createFindings, defineJob } from '../job.ts'

const dayMs = 86_400_000
/** What was written down longer ago says little about what is known now. */
const oldReportMs = 35 * dayMs

/** Seed 003's monthly scan: who may read the data, how old secrets are, what is known against the installed packages. */
export const securityScan = defineJob({
  name: 'security_scan',
  rhythm: 'monthly',
  summary: { en: 'Permissions, age of secrets, known weaknesses of packages', zh: '安全扫描' },
  cron: '0 4 1 * *',
  windowMinutes: 240,
  async run(world, running) {
    const found = createFindings()
    const now = world.clock.now()

    running.progress(0, 3, 'permissions')
    const open = world.openToOthers()
    found.figure('open_files', open.length)
    for (const each of open.slice(0, 20)) found.note(`others may use ${each}`)
    if (open.length > 0)
      found.add(
        'fail',
        `${open.length} files of the data folder are open to others; gatehouse doctor --fix closes the folder.`,
        `数据目录中有 ${open.length} 个文件可被他人访问；可用 gatehouse doctor --fix 收紧权限。`,
      )

    running.progress(1, 3, 'secrets')
    const days = (since: number) => Math.floor((now - since) / dayMs)
    const secrets = await world.secrets()
    const old = world.secretMaxAgeDays === 0 ? [] : secrets.filter(({ since }) => days(since) > world.secretMaxAgeDays)
    found.figure('secrets', secrets.length)
    found.figure('old_secrets', old.length)
    found.figure(
      'oldest_secret_days',
      secrets.length === 0 ? null : Math.max(...secrets.map(({ since }) => days(since))),
    )
    found.figure('endless_caller_keys', secrets.filter(({ kind, isEndless }) => kind === 'caller' && isEndless).length)
    const masterSince = world.masterKeySince()
    found.figure('master_key_days', masterSince === null ? null : days(masterSince))
    for (const { kind, name, since } of old.slice(0, 20))
      found.note(`the key ${name} (${kind}) is ${days(since)} days old`)
    if (old.length > 0)
      found.add(
        'warn',
        `${old.length} keys are older than ${world.secretMaxAgeDays} days.`,
        `有 ${old.length} 个密钥超过 ${world.secretMaxAgeDays} 天未更换。`,
      )

    running.progress(2, 3, 'packages')
    const answers = await world.advisories()
    if (answers.length === 0)
      found.note('packages were compared with nothing: maintenance.advisories_file and advisories_url are empty')
    for (const { source, asOfMs, fault, found: told } of answers) {
      if (fault !== '') {
        found.add(
          'inconclusive',
          `${source} says nothing of packages: ${fault}.`,
          `无法取得依赖漏洞信息（${source}）：${fault}。`,
        )
        continue
      }
      const grave = told.filter(({ severity }) => severity === 'critical' || severity === 'high')
      found.figure('advisories', told.length)
      found.figure('grave_advisories', grave.length)
      for (const each of told.slice(0, 20))
        found.note(`${each.package}: ${each.severity}, ${each.title}${each.url && ` (${each.url})`}`)
      if (grave.length > 0)
        found.add(
          'fail',
          `${grave.length} grave weaknesses of packages are known.`,
          `已知 ${grave.length} 个严重依赖漏洞。`,
        )
      else if (told.length > 0)
        found.add('warn', `${told.length} weaknesses of packages are known.`, `已知 ${told.length} 个依赖漏洞。`)
      if (now - asOfMs > oldReportMs)
        found.add(
          'inconclusive',
          `${source} is ${days(asOfMs)} days old.`,
          `${source} 已是 ${days(asOfMs)} 天前的结果。`,
        )
    }
    return found.told({ en: 'Nothing is open, old or known to be weak.', zh: '权限、密钥与依赖均无异常。' })
  },
})
