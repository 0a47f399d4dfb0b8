import { checkMachine, type Loaded, mask, settings } from '../../config.ts'
import { type Call, type Command, configOptions, type ExitCode, exitCodes } from '../command.ts'
import { printJson, printTable, reportFindings } from '../report.ts'
import { loadFor } from '../settings.ts'

/** `config validate` says what would stop a start; `config show` says what is set, and where. */
export const config: Command = {
  name: 'config',
  summary: { en: 'Check or show the configuration', zh: '检查或查看配置' },
  commands: [
    {
      name: 'validate',
      summary: {
        en: 'Check every setting without starting anything; 0 valid, 2 with warnings, 78 refused',
        zh: '检查全部配置但不启动服务；返回 0 有效、2 有警告、78 无效',
      },
      options: configOptions,
      run: validate,
    },
    {
      name: 'show',
      summary: {
        en: 'Show every setting and where its value comes from; secrets are masked',
        zh: '显示每项配置及其来源；密钥会被遮盖',
      },
      options: configOptions,
      run: show,
    },
  ],
}

async function validate(call: Call): Promise<ExitCode> {
  const loaded = loadFor(call)
  checkMachine(loaded, { make: false })
  const { warnings, file } = loaded
  if (call.json) printJson(call.terminal, { ok: true, file, findings: warnings })
  else {
    reportFindings(call.terminal, warnings)
    call.terminal.out(`The configuration is valid (${countOrigins(loaded)}) · 配置有效`)
  }
  return warnings.length === 0 ? exitCodes.ok : exitCodes.warnings
}

function countOrigins({ origins, file }: Loaded): string {
  const count = (source: string) => [...origins.values()].filter((origin) => origin.source === source).length
  return [
    file === null ? 'no file' : `${count('file')} from ${file}`,
    `${count('env')} from variables`,
    `${count('flag')} from flags`,
    `${count('default')} defaults`,
  ].join(', ')
}

async function show(call: Call): Promise<ExitCode> {
  const { config: values, origins } = loadFor(call)
  const shown = settings.map((setting) => ({
    name: setting.name,
    value: mask(setting, valueAt(values, setting.path)),
    ...origins.get(setting.name)!,
  }))
  if (call.json) {
    const byName = Object.fromEntries(shown.map(({ name, value, source, where }) => [name, { value, source, where }]))
    printJson(call.terminal, byName)
  } else {
    const rows = shown.map(({ name, value, where }) => [name, JSON.stringify(value), where])
    printTable(call.terminal, rows)
  }
  return exitCodes.ok
}

function valueAt(config: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], config)
}
