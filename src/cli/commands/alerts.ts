import { Readable } from 'node:stream'
import { backtestRuleFile, checkRuleFiles, exportStoredRules, testRuleFiles } from '../../alerts/index.ts'
import { systemClock } from '../../kernel/clock.ts'
import { fail } from '../../kernel/errors.ts'
import { writeWhole } from '../../platform/files.ts'
import { openStoredSamples } from '../../telemetry/index.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson } from '../report.ts'
import { withConfig, withStore } from '../store.ts'

const files = { name: 'files...', summary: { en: 'Files, or patterns in quotes', zh: '文件，或加引号的通配模式' } }

/** Rules before they run: all of it works without a hub, and beside a running one. */
export const alerts: Command = {
  name: 'alerts',
  summary: { en: 'Alert rules', zh: '告警规则' },
  commands: [
    {
      name: 'check',
      summary: {
        en: 'Check rule files of Prometheus, as promtool check rules; 2 for warnings only',
        zh: '检查 Prometheus 规则文件（等同 promtool check rules）；仅有警告时返回 2',
      },
      args: [files],
      run: check,
    },
    {
      name: 'test',
      summary: {
        en: 'Run unit tests of rules, as promtool test rules',
        zh: '运行规则单元测试（等同 promtool test rules）',
      },
      args: [files],
      run: test,
    },
    {
      name: 'backtest',
      summary: {
        en: 'Tell when the alerts of a rule file would have fired over the samples that are kept',
        zh: '在已保存的样本上回放规则文件，给出各告警会在何时触发',
      },
      args: [{ name: 'file', summary: { en: 'A rule file', zh: '规则文件' } }],
      options: [
        ...configOptions,
        { flags: '--alert <name>', summary: { en: 'Only this alert', zh: '仅回放此告警' } },
        { flags: '--days <number>', summary: { en: 'How far back; 7 unless told', zh: '回放天数，默认 7' } },
        {
          flags: '--step <seconds>',
          summary: {
            en: "Between evaluations; the group's interval unless told",
            zh: '计算间隔（秒），默认取规则组的 interval',
          },
        },
      ],
      run: backtest,
    },
    {
      name: 'export',
      summary: {
        en: 'Write every rule that is on as one rule file of Prometheus',
        zh: '将所有启用的规则导出为一个 Prometheus 规则文件',
      },
      options: [
        ...configOptions,
        {
          flags: '--out <file>',
          summary: { en: 'Where to; standard output unless told', zh: '输出文件，默认标准输出' },
        },
      ],
      run: exportRules,
    },
  ],
}

async function check(call: Call): Promise<ExitCode> {
  const checked = checkRuleFiles(call.args)
  if (call.json) printJson(call.terminal, checked)
  else {
    for (const { file, rules, faults } of checked) {
      for (const { line, level, message } of faults) {
        call.terminal.err(`${level === 'error' ? '✗' : '!'} ${file}:${line}: ${message}`)
      }
      if (!faults.some(({ level }) => level === 'error')) call.terminal.out(`✓ ${file}: ${rules} rules · 条规则`)
    }
  }
  const levels = new Set(checked.flatMap(({ faults }) => faults.map(({ level }) => level)))
  return levels.has('error') ? exitCodes.failed : levels.has('warning') ? exitCodes.warnings : exitCodes.ok
}

async function test(call: Call): Promise<ExitCode> {
  const told = await testRuleFiles(call.args)
  if (call.json) printJson(call.terminal, told)
  else {
    for (const { file, faults, tests } of told) {
      for (const { file: where, line, message } of faults) call.terminal.err(`✗ ${where}:${line}: ${message}`)
      const failed = tests.filter(({ failures }) => failures.length > 0)
      for (const { name, failures } of failed) {
        call.terminal.err(`✗ ${file}: ${name}`)
        for (const failure of failures) call.terminal.err(`    ${failure}`)
      }
      if (faults.length === 0 && failed.length === 0) call.terminal.out(`✓ ${file}: ${tests.length} tests · 个测试`)
    }
  }
  const isSound = told.every(
    ({ faults, tests }) => faults.length === 0 && tests.every(({ failures }) => failures.length === 0),
  )
  return isSound ? exitCodes.ok : exitCodes.failed
}

async function backtest(call: Call): Promise<ExitCode> {
  const days = readNumber(call, 'days', 7, 366)
  const seconds = call.options.step === undefined ? null : readNumber(call, 'step', 60, 86_400)
  return withConfig(call, async ({ config }) => {
    const samples = openStoredSamples(config.data.dir, config.telemetry)
    try {
      const alert = typeof call.options.alert === 'string' ? call.options.alert : null
      const wish = { alert, days, stepMs: seconds === null ? null : seconds * 1000 }
      const told = await backtestRuleFile(call.args[0] ?? '', wish, samples, config.alerts, systemClock)
      if (call.json) printJson(call.terminal, told)
      else {
        for (const { rule, summary, episodes, errors, last_error: error } of told) {
          call.terminal.out(`${rule}: ${summary}`)
          if (errors > 0) call.terminal.err(`  ${errors} evaluations failed · 次计算失败: ${error}`)
          for (const { labels, fired_at: from, ended_at: to } of episodes) {
            call.terminal.out(`  ${from} – ${to ?? '…'}  ${JSON.stringify(labels)}`)
          }
        }
      }
      return told.some(({ errors }) => errors > 0) ? exitCodes.warnings : exitCodes.ok
    } finally {
      samples.close()
    }
  })
}

async function exportRules(call: Call): Promise<ExitCode> {
  return withStore(call, async ({ loaded: { config }, database, log }) => {
    const text = await exportStoredRules(database.kysely as never, config.alerts, log)
    const { out } = call.options
    if (typeof out !== 'string') call.terminal.out(text.trimEnd())
    else {
      const bytes = await writeWhole(out, Readable.from([text]))
      if (call.json) printJson(call.terminal, { file: out, bytes })
      else call.terminal.out(`${out}  ${bytes} bytes · 字节`)
    }
    return exitCodes.ok
  })
}

function readNumber(call: Call, option: string, initial: number, most: number): number {
  const number = Number(call.options[option] ?? initial)
  if (number > 0 && number <= most) return number
  throw fail('invalid_request', `--${option} is a number up to ${most}`, { param: `--${option}` })
}
