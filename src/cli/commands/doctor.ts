import { ConfigError, type Loaded } from '../../config.ts'
import {
  type Area,
  areas,
  createWorld,
  type Diagnosis,
  type DoctorParts,
  diagnose,
  findings,
  judge,
  showDiagnosis,
} from '../../doctor/index.ts'
import { outsideParts } from '../../doctor-parts.ts'
import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { packages } from '../../version.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes, type Terminal } from '../command.ts'
import { printJson, reportUsage } from '../report.ts'
import { loadFor } from '../settings.ts'

/** Looks at everything, whether the hub runs or not, also where its configuration cannot be read. */
export const doctor: Command = {
  name: 'doctor',
  summary: {
    en: 'Find what is wrong, why, and what to do; 0 nothing, 2 doubts, 1 faults',
    zh: '诊断故障、原因与处理办法；0 正常、2 有疑点、1 有故障',
  },
  options: [
    ...configOptions,
    {
      flags: '--only <area>',
      summary: { en: `One of ${areas.join(', ')}`, zh: `仅检查一个领域：${areas.join('、')}` },
    },
    {
      flags: '--offline',
      summary: { en: 'Ask no provider and not the public address', zh: '不访问模型供应商与公网地址' },
    },
    {
      flags: '--fix',
      summary: { en: 'Mend what can be mended without risk, after saying it', zh: '先列出再修复可安全修复的问题' },
    },
    { flags: '--dry-run', summary: { en: 'With --fix: say it, and do nothing', zh: '与 --fix 同用：仅列出，不执行' } },
  ],
  run: examine,
}

async function examine(call: Call): Promise<ExitCode> {
  const { terminal, options, json } = call
  if (options.dryRun === true && options.fix !== true)
    return reportUsage(call, '--dry-run belongs to --fix', '--dry-run 须与 --fix 同用')
  const only = areasOf(options.only)
  const begun = systemClock.monotonic()
  const found = await lookOnce(call, only)
  const fixed = options.fix === true ? mend(found, terminal, json, options.dryRun === true) : []
  const isMended = fixed.some(({ error }) => error === null)
  // Only a second look proves that it helped.
  const after = isMended && options.dryRun !== true ? await lookOnce(call, only) : found
  const { verdict, counts } = judge(after)
  const tookMs = Math.round(systemClock.monotonic() - begun)
  if (json) {
    printJson(terminal, {
      ...{ verdict, counts, took_ms: tookMs, findings: after.map(showDiagnosis) },
      ...(options.fix === true ? { dry_run: options.dryRun === true, fixes: fixed } : {}),
    })
  } else {
    for (const each of after) tell(terminal, each)
    terminal.out(
      `${counts.ok} ok, ${counts.warn} warnings, ${counts.fail} faults, ${counts.inconclusive} unknown, ${counts.skip} do not apply (${tookMs} ms) · 正常 ${counts.ok}，疑点 ${counts.warn}，故障 ${counts.fail}，无法判定 ${counts.inconclusive}，不适用 ${counts.skip}`,
    )
  }
  return { ok: exitCodes.ok, warn: exitCodes.warnings, fail: exitCodes.failed }[verdict]
}

function areasOf(written: string | boolean | undefined): readonly Area[] {
  if (written === undefined) return areas
  const found = areas.find((area) => area === written)
  if (found !== undefined) return [found]
  throw fail('invalid_request', `--only is one of ${areas.join(', ')}`, { param: '--only' })
}

async function lookOnce(call: Call, only: readonly Area[]): Promise<Diagnosis[]> {
  const world = createWorld({ ...partsFor(call), isOffline: call.options.offline === true })
  try {
    return await diagnose(findings, world, only)
  } finally {
    await world.close()
  }
}

function partsFor(call: Call): Omit<DoctorParts, 'isOffline'> {
  const { env } = call.terminal
  let loaded: Loaded
  try {
    loaded = loadFor(call)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return withoutConfiguration(error, env)
  }
  return outsideParts({ loaded, env, secretKey: env.GATEHOUSE_SECRET_KEY ?? '', clock: systemClock })
}

/** What can be looked at without knowing where anything is. */
function withoutConfiguration(
  { findings: complaints }: ConfigError,
  env: Terminal['env'],
): Omit<DoctorParts, 'isOffline'> {
  const unreachable = () => Promise.reject(new Error('The configuration cannot be read'))
  return {
    ...{ settings: null, complaints, env, clock: systemClock, isHub: false, packages, whereOf: () => '' },
    ...{ openStore: unreachable, migrationStates: unreachable, verifyAudit: unreachable, masterKeyId: () => null },
    ...{ listBackups: unreachable, openProviders: unreachable },
  }
}

type Mended = { finding: string; what: string; error: string | null }

/** Says everything first, then does it one by one; what fails does not keep the rest from being mended. */
function mend(found: readonly Diagnosis[], terminal: Terminal, json: boolean, isDry: boolean): Mended[] {
  const fixes = found.flatMap(({ id, fixes }) => fixes.map((fix) => ({ id, ...fix })))
  if (!json) {
    for (const { id, what } of fixes) terminal.out(`→ ${id}: ${what.en} · ${what.zh}`)
    if (fixes.length === 0) terminal.out('Nothing can be mended without risk · 没有可安全自动修复的问题')
  }
  return fixes.map(({ id, what, apply }) => {
    if (isDry) return { finding: id, what: what.en, error: null }
    try {
      apply()
      return { finding: id, what: what.en, error: null }
    } catch (error) {
      const { message } = error as Error
      if (!json) terminal.err(`✗ ${id}: ${message}`)
      return { finding: id, what: what.en, error: message }
    }
  })
}

const signs = { ok: '✓', warn: '!', fail: '✗', skip: '-', inconclusive: '?' }

function tell(terminal: Terminal, { id, severity, status, evidence, cause, remedy, docs, fixable }: Diagnosis): void {
  if (status === 'ok' || status === 'skip') return
  terminal.out(`${signs[status]} ${id} (${severity})  ${evidence}`)
  if (status === 'inconclusive') return
  terminal.out(`    ${[cause?.en, remedy?.en].filter(Boolean).join(' ')}`)
  terminal.out(`    ${[cause?.zh, remedy?.zh].filter(Boolean).join('')}`)
  terminal.out(`    ${docs}${fixable ? '  (--fix)' : ''}`)
}
