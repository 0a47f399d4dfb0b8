import { randomUUID } from 'node:crypto'
import { createIdentity, type IdentityTables } from '../identity/index.ts'
import { systemClock } from '../kernel/clock.ts'
import { toHubError } from '../kernel/errors.ts'
import type { Platform } from '../platform/open.ts'
import type { Call, ExitCode } from './command.ts'
import { withPlatform } from './store.ts'

/** Does `work`, written into the audit log before and after, as a change over the API is; `show` says what it came to. */
export type Audited = <T>(
  action: string,
  target: string,
  work: () => Promise<T>,
  show: (done: T) => unknown,
) => Promise<T>

/** Runs `use` with the platform open and the audit log at hand, for changes at the store itself. */
export function withAudit(
  call: Call,
  use: (platform: Platform<IdentityTables>, audited: Audited) => Promise<ExitCode>,
): Promise<ExitCode> {
  return withPlatform<IdentityTables>(call, async (platform, config) => {
    const { database, secrets, bus, log, metrics, counter, mailer, upstreams } = platform
    const identity = createIdentity({
      ...{ db: database.kysely, secrets, bus, log, metrics, counter, mailer, upstreams, clock: systemClock },
      ...{ publicUrl: config.server.public_url, config: config.auth },
      // Any will do: without one a fresh set-up token would be made, and the running hub's would end.
      adminKey: randomUUID(),
    })
    const { env } = call.terminal
    const audited: Audited = async (action, target, work, show) => {
      const open = await identity.audit.begin({
        ...{ action, target, principal: null, before: null },
        actor: { kind: 'cli', id: 'cli', name: env.SUDO_USER ?? env.USER ?? '' },
        ...{ requestId: '', traceId: '', clientIp: '', userAgent: 'gatehouse' },
      })
      try {
        const done = await work()
        await open.end({ status: 200, code: '', after: show(done) })
        return done
      } catch (error) {
        const { status, code } = toHubError(error)
        await open.end({ status, code })
        throw error
      }
    }
    try {
      await identity.start()
      return await use(platform, audited)
    } finally {
      await identity.stop()
    }
  })
}
