import { checkMachine } from '../../config.ts'
import { createHub, type Hub } from '../../hub.ts'
import type { LogControl } from '../../platform/log.ts'
import { openLog } from '../../platform/open.ts'
import { type Seat, takeSeat } from '../../platform/processes/seat.ts'
import { collectStartGarbage } from '../../platform/start-garbage.ts'
import { type Command, configOptions, type ExitCode, exitCodes, type Terminal } from '../command.ts'
import { settingsOf, superviseProcesses } from '../processes.ts'
import { reportFailure, reportFindings } from '../report.ts'
import { withConfig } from '../store.ts'

/** Terminals, npm and our launcher all pass one Ctrl-C on: within this time it is the same one. */
const sameSignalMs = 500
/** Something may still hold the process open after everything was closed; then it ends anyway. */
const lingerMs = 2000

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
  run: (call) =>
    withConfig(call, async (loaded) => {
      const seat = takeSeat(process.env)
      if (seat !== null) process.title = `gatehouse ${seat.name}`
      // Its supervisor has said so already.
      if (seat === null) reportFindings(call.terminal, loaded.warnings)
      checkMachine(loaded, { make: true })
      const log = openLog(loaded.config.log, undefined, seat?.name)
      endOnFaults(log)
      if (seat === null && loaded.config.server.workers > 0) {
        return superviseProcesses(loaded, { log, asked: askedToStop(log) })
      }
      const hub = createHub(settingsOf(loaded, seat), {
        // One of them brings the demo, the others find it in the store.
        demo: call.options.demo === true && (seat === null || seat.name === 'worker-1'),
        secretKey: call.terminal.env.GATEHOUSE_SECRET_KEY ?? '',
        ...{ log, seat: seat ?? undefined },
        beforeListening: collectStartGarbage,
      })
      return runUntilSignal(hub, { log, seat, terminal: call.terminal, json: call.json })
    }),
}

function endOnFaults(log: LogControl): void {
  const die = (message: string) => (error: unknown) => {
    log.critical(message, { error })
    log.flush()
    process.exit(exitCodes.failed)
  }
  process.on('uncaughtException', die('Something threw where nobody listens; the hub ends'))
  process.on('unhandledRejection', die('A promise failed where nobody listens; the hub ends'))
}

async function runUntilSignal(
  hub: Hub,
  { log, seat, terminal, json }: { log: LogControl; seat: Seat | null; terminal: Terminal; json: boolean },
): Promise<ExitCode> {
  // `systemctl reload`, `kill -HUP`: before the hub has started there is nothing to read again. Where processes share a
  // node, their supervisor hears it and replaces them, each with the settings that it reads itself.
  process.on('SIGHUP', () => void (seat === null && hub.reload()))
  // Whoever rotates the files says so by this signal; without a listener it would open a debugger's port.
  process.on('SIGUSR1', () => log.files()?.reopen())

  const asked = askedToStop(log)
  await hub.start()
  asked.arm()
  seat?.ready()
  await asked.once
  try {
    await hub.stop()
    return exitCodes.ok
  } catch (error) {
    return reportFailure(terminal, error, json)
  } finally {
    log.flush()
    setTimeout(() => process.exit(), lingerMs).unref()
  }
}

/**
 * Resolves at the first SIGTERM or SIGINT once armed. A further one, and any before that, ends the process at once:
 * whatever was answered is in the journal, and a start can be cut anywhere.
 */
function askedToStop(log: LogControl): { once: Promise<void>; arm(): void } {
  let isArmed = false
  let firstAt: number | null = null
  const { promise, resolve } = Promise.withResolvers<void>()
  for (const [signal, exitCode] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    process.on(signal, () => {
      const now = performance.now()
      if (firstAt !== null && now - firstAt < sameSignalMs) return
      if (!isArmed || firstAt !== null) {
        log.warn('Ended at once, without waiting for answers', { signal })
        log.flush()
        process.exit(exitCode)
      }
      firstAt = now
      resolve()
    })
  }
  return {
    once: promise,
    arm: () => {
      isArmed = true
    },
  }
}
