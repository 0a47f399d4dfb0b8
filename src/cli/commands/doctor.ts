import { type Area, areas, type Diagnosis, judge, mend, showDiagnosis } from '../../doctor/index.ts'
import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { writePrivateFile } from '../../platform/files.ts'
import { packTarball } from '../../platform/tarball.ts'
import { makeBundle } from '../../wiring/doctor-bundle.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes, type Terminal } from '../command.ts'
import { openDoctor } from '../doctor.ts'
import { printJson, reportUsage } from '../report.ts'

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
    {
      flags: '--bundle <file>',
      summary: {
        en: 'Write what helpers need into a .tgz, without secrets, after showing what is in it',
        zh: '将脱敏后的诊断信息打包为 .tgz，并先列出内容',
      },
    },
    {
      flags: '--dry-run',
      summary: {
        en: 'With --fix or --bundle: say it, and do nothing',
        zh: '与 --fix 或 --bundle 同用：仅列出，不执行',
      },
    },
  ],
  run: examine,
}

async function examine(call: Call): Promise<ExitCode> {
  const { terminal, options, json } = call
  const isDry = options.dryRun === true
  if (isDry && options.fix !== true && typeof options.bundle !== 'string')
    return reportUsage(call, '--dry-run belongs to --fix or --bundle', '--dry-run 须与 --fix 或 --bundle 同用')
  const only = areasOf(options.only)
  const begun = systemClock.monotonic()
  const opened = openDoctor(call)
  const found = await opened.look(only)
  const fixed = options.fix === true ? await mendTold(found, call, opened.loaded?.config.data.dir ?? '', isDry) : []
  const isMended = fixed.some(({ error }) => error === null)
  // Only a second look proves that it helped.
  const after = isMended && !isDry ? await opened.look(only) : found
  const { verdict, counts } = judge(after)
  const tookMs = Math.round(systemClock.monotonic() - begun)
  const bundle = typeof options.bundle === 'string' ? await pack(call, opened, after, options.bundle, isDry) : null
  if (json) {
    printJson(terminal, {
      ...{ verdict, counts, took_ms: tookMs, findings: after.map(showDiagnosis) },
      ...(options.fix === true ? { dry_run: isDry, fixes: fixed } : {}),
      ...(bundle === null ? {} : { bundle }),
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

/** Says everything that can be mended, then does it, and says how it is undone. */
async function mendTold(found: readonly Diagnosis[], { terminal, json }: Call, dataDir: string, isDry: boolean) {
  if (!json) {
    const fixes = found.flatMap(({ id, fixes }) => fixes.map(({ what }) => ({ id, what })))
    for (const { id, what } of fixes) terminal.out(`→ ${id}: ${what.en} · ${what.zh}`)
    if (fixes.length === 0) terminal.out('Nothing can be mended without risk · 没有可安全自动修复的问题')
  }
  const { fixes, script } = await mend(found, { dataDir, clock: systemClock, isDry })
  if (!json) {
    for (const { finding, error } of fixes) if (error !== null) terminal.err(`✗ ${finding}: ${error}`)
    const undos = fixes.flatMap(({ undo }) => (undo === '' ? [] : [undo])).reverse()
    if (script !== null) terminal.out(`Undo · 撤销: sh ${script}`)
    else if (undos.length > 0 && !isDry) terminal.out(`Undo · 撤销: ${undos.join('; ')}`)
  }
  return fixes.map(({ what, ...fix }) => ({ ...fix, what: what.en }))
}

/** Shows what would be in it, then writes it; nothing is written when a secret may be left. */
async function pack(
  { terminal, json }: Call,
  opened: ReturnType<typeof openDoctor>,
  found: readonly Diagnosis[],
  file: string,
  isDry: boolean,
) {
  const { lines } = await opened.quick()
  const atMs = systemClock.now()
  const parts = makeBundle({ loaded: opened.loaded, env: terminal.env, found, quick: lines.join('\n'), atMs })
  if (!json) {
    terminal.out(`${file}${isDry ? ' (not written · 未写入)' : ''}:`)
    for (const { name, what, bytes, redactions } of parts)
      terminal.out(`    ${name}  ${bytes} bytes, ${redactions} masked · 脱敏 ${redactions} 处  (${what})`)
  }
  if (!isDry) writePrivateFile(file, packTarball(parts, atMs))
  return { file, written: !isDry, parts: parts.map(({ name, bytes, redactions }) => ({ name, bytes, redactions })) }
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
