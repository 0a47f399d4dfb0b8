import type { ExitCode } from '../command.ts'
import { type Call, type Command, configOptions, exitCodes } from '../command.ts'
import { openDoctor } from '../doctor.ts'
import { printJson } from '../report.ts'

/** Seed 003's `quick_diagnosis.sh`, in its order. */
export const diagnose: Command = {
  name: 'diagnose',
  summary: {
    en: 'Services, ports, processes, resources, errors, connections on one screen; 1 when something is wrong',
    zh: '快速诊断：服务、端口、进程、资源、错误与连接；有异常返回 1',
  },
  options: configOptions,
  run: look,
}

async function look(call: Call): Promise<ExitCode> {
  const { isWell, lines } = await openDoctor(call).quick()
  if (call.json) printJson(call.terminal, { ok: isWell, lines })
  else for (const line of lines) call.terminal.out(line)
  return isWell ? exitCodes.ok : exitCodes.failed
}
