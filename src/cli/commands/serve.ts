import { checkMachine } from '../../config.ts'
import { createHub, type Hub } from '../../hub.ts'
import type { LogControl } from '../../platform/log.ts'
import { openLog } from '../../platform/open.ts'
import { collectStartGarbage } from '../../platform/start-garbage.ts'
import { type Command, configOptions, type ExitCode, exitCodes, type Terminal } from '../command.ts'
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
      reportFindings(call.terminal, loaded.warnings)
      checkMachine(loaded, { make: true })
      const log = openLog(loaded.config.log)
      const hub = createHub(loaded, {
        demo: call.options.demo === true,
        secretKey: call.terminal.env.GATEHOUSE_SECRET_KEY ?? '',
        log,
        beforeListening: collectStartGarbage,
      })
      return runUntilSignal(hub, log, call.terminal, call.json)
    }),
}

async function runUntilSignal(hub: Hub, log: LogControl, terminal: Terminal, json: boolean): Promise<ExitCode> {
  const die = (message: string) => (error: unknown) => {
    log.critical(message, { error })
    log.flush()
    process.exit(exitCodes.failed)
  }
  process.on('uncaughtException', die('Something threw where nobody listens; the hub ends'))
  process.on('unhandledRejection', die('A promise failed where nobody listens; the hub ends'))

  // `systemctl reload`, `kill -HUP`: before the hub has started there is nothing to read again.
  process.on('SIGHUP', () => void hub.reload())
  // Whoever rotates the files says so by this signal; without a listener it would open a debugger's port.
  process.on('SIGUSR1', () => log.files()?.reopen())

  const asked = askedToStop(log)
  await hub.start()
  asked.arm()
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
