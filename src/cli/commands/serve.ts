import { checkMachine } from '../../config.ts'
import { createHub } from '../../hub.ts'
import { openLog } from '../../platform/open-log.ts'
import { becomeSupervisor } from '../../platform/processes/entrance.ts'
import { takeSeat, tellSettings } from '../../platform/processes/seat.ts'
import { collectStartGarbage } from '../../platform/start-garbage.ts'
import { type Command, configOptions, exitCodes } from '../command.ts'
import { assertFit, settingsOf } from '../node-part.ts'
import { reportFindings } from '../report.ts'
import { loadFor } from '../settings.ts'
import { withConfig } from '../store.ts'
import { supervise } from '../supervise.ts'
import { endOnFaults, runUntilSignal } from '../until-signal.ts'

/** Runs the hub until a signal ends it. */
export const serve: Command = {
  name: 'serve',
  summary: { en: 'Start the hub', zh: '启动服务' },
  options: [
    {
      flags: '--host <host>',
      summary: { en: 'Address to listen on (default 127.0.0.1)', zh: '监听地址（默认 127.0.0.1）' },
    },
    { flags: '--port <port>', summary: { en: 'Port to listen on (default 8000)', zh: '监听端口（默认 8000）' } },
    {
      flags: '--roles <list>',
      summary: {
        en: 'What this process does: gateway,registry,core,worker,console (default all)',
        zh: '本进程的角色：gateway,registry,core,worker,console（默认全部）',
      },
    },
    {
      flags: '--workers <number>',
      summary: {
        en: 'Processes that answer calls, beside one for everything else (default 0: one process for all)',
        zh: '处理调用的工作进程数，另有一个控制进程（默认 0：全部在单个进程内）',
      },
    },
    ...configOptions,
    {
      flags: '--demo',
      summary: {
        en: 'Add a built-in provider, a plugin and a month of synthetic traffic, marked as such',
        zh: '加入内置演示上游、演示插件和一个月的模拟流量（均有标记）',
      },
    },
  ],
  async run(call) {
    const readFit = () => {
      const loaded = loadFor(call)
      checkMachine(loaded, { make: true })
      assertFit(loaded.config)
      return loaded.config
    }
    if (await tellSettings(process.env, readFit)) return exitCodes.ok
    return withConfig(call, async (loaded) => {
      const seat = takeSeat(process.env)
      if (seat !== null) process.title = `gatehouse ${seat.name}`
      // Its supervisor has said so already.
      if (seat === null) reportFindings(call.terminal, loaded.warnings)
      checkMachine(loaded, { make: true })
      if (seat === null && loaded.config.server.workers > 0) {
        assertFit(loaded.config)
        becomeSupervisor()
        return supervise()
      }
      const log = openLog(loaded.config.log, undefined, seat?.name)
      endOnFaults(log)
      const hub = createHub(settingsOf(loaded, seat), {
        demo: call.options.demo === true && seat === null,
        secretKey: call.terminal.env.GATEHOUSE_SECRET_KEY ?? '',
        ...{ log, seat: seat ?? undefined },
        beforeListening: collectStartGarbage,
      })
      return runUntilSignal(hub, { log, seat })
    })
  },
}
