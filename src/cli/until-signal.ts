import type { Hub } from '../hub.ts'
import type { LogControl } from '../platform/log.ts'
import type { Seat } from '../platform/processes/seat.ts'
import { type ExitCode, exitCodes } from './command.ts'

/** Terminals, npm and our launcher all pass one Ctrl-C on: within this time it is the same one. */
const sameSignalMs = 500
/** Something may still hold the process open after everything was closed; then it ends anyway. */
const lingerMs = 2000

/** What throws where nobody listens ends the process, and the log says so. */
export function endOnFaults(log: LogControl): void {
  const die = (message: string) => (error: unknown) => {
    log.critical(message, { error })
    log.flush()
    process.exit(exitCodes.failed)
  }
  process.on('uncaughtException', die('Something threw where nobody listens; the hub ends'))
  process.on('unhandledRejection', die('A promise failed where nobody listens; the hub ends'))
}

/** Starts a hub and stops it in good order when a signal asks for it. Rejects when it cannot start, or stop. */
export async function runUntilSignal(
  hub: Hub,
  { log, seat }: { log: LogControl; seat: Seat | null },
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
  } finally {
    log.flush()
    setTimeout(() => process.exit(), lingerMs).unref()
  }
}

/**
 * Resolves at the first SIGTERM or SIGINT once armed. A further one, and any before that, ends the process at once:
 * whatever was answered is in the journal, and a start can be cut anywhere.
 */
export function askedToStop(log: LogControl): { once: Promise<void>; arm(): void } {
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
