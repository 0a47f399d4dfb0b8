import { isDeepStrictEqual } from 'node:util'
import type { Config, Loaded } from '../config.ts'
import type { AuditPort } from '../http/audited.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail, toHubError } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import type { Bus } from '../platform/bus/bus.ts'
import { replaceFile } from '../platform/files.ts'
import type { Log } from '../platform/log.ts'
import type { Secrets } from '../platform/secrets.ts'
import { editToml } from './edit.ts'
import { type Applier, createLive, valueAt } from './live.ts'
import type { Author, Change, Revision, RevisionOrigin, RevisionsStore } from './revisions-store.ts'
import { findSetting, mask, type Setting } from './settings.ts'
import { findWorse, type Look, type Looker } from './watch.ts'
import { ConfigError, type Finding } from './words.ts'

export type ReloadParts = {
  /** Whose `config` is the live one: rooms hold its sections. */
  loaded: Loaded
  settings: readonly Setting[]
  appliers: readonly Applier[]
  store: RevisionsStore
  secrets: Pick<Secrets, 'encrypt' | 'decrypt'>
  look: Looker
  /** Really tries what changed: connects, opens, writes. Errors refuse the settings. */
  tryOut(next: Loaded, changed: readonly string[]): Promise<Finding[]>
  audit: AuditPort
  bus: Bus
  clock: Clock
  log: Log
  /** What this process is called among the nodes. */
  node: string
  /** Where settings are written to when there is no file yet. */
  newFile: string
}

/** What came of asking for other settings. */
export type Outcome = {
  /** null: nothing differs. */
  revision: Revision | null
  applied: string[]
  waiting: string[]
  /** Epoch ms until which health is watched; null where it is not. */
  watchedUntil: number | null
  findings: readonly Finding[]
}

export type Reloading = ReturnType<typeof createReloading>

const looksEveryMs = 1000
/** How far back "before" reaches. */
const earlierLooks = 60

/**
 * Takes over settings while the hub runs: validate, try, apply, watch, and take back what makes it worse. One change at a
 * time; a change during a watch ends that watch. What fails before `apply` has changed nothing, on disk neither.
 */
export function createReloading(parts: ReloadParts) {
  const { loaded, settings, store, secrets, bus, clock, log, node } = parts
  const live = createLive(loaded.config, settings, parts.appliers)
  const stopping = new AbortController()
  const earlier: Look[] = []
  let queue: Promise<unknown> = Promise.resolve()
  let known: Loaded = { ...loaded, config: live.copy() }
  let watch: { revision: Revision; stop: AbortController; done: Promise<void>; until: number } | null = null
  let wasRolledBack = false
  let ending: Promise<void> = Promise.resolve()

  /** Changes come one after the other, whoever asks. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = queue.then(work, work)
    queue = turn.catch(() => {})
    return turn
  }

  function differences(before: Config, after: Config): Change[] {
    return settings
      .filter(({ path }) => !isDeepStrictEqual(valueAt(before, path), valueAt(after, path)))
      .map((setting) => ({
        name: setting.name,
        before: mask(setting, valueAt(before, setting.path)) ?? null,
        after: mask(setting, valueAt(after, setting.path)) ?? null,
      }))
  }

  async function keep(revision: Omit<Revision, 'id' | 'at' | 'node'>, next: Loaded): Promise<Revision> {
    const id = createId('configRevision', clock.now())
    const sealed = secrets.encrypt(JSON.stringify({ text: next.text, values: next.config }), contextOf(id))
    const whole = { ...revision, id, at: clock.now(), node }
    await store.add({ ...whole, sealed })
    return whole
  }

  /** Validated and tried, then written to the file where `write` is set, then applied. */
  async function change(next: Loaded, author: Author, origin: RevisionOrigin, write: boolean): Promise<Outcome> {
    // What waits for a restart is compared with the file as it was read last, what is live with what runs.
    const diff = differences(known.config, next.config)
    const findings =
      diff.length === 0
        ? []
        : await parts.tryOut(
            next,
            diff.map(({ name }) => name),
          )
    if (findings.some(({ level }) => level === 'error')) throw new ConfigError(findings)
    await endWatch()
    const before = { live: live.copy(), known, text: known.text }
    if (diff.length === 0) {
      if (write && next.text !== known.text) replaceFile(next.file ?? parts.newFile, next.text)
      known = next
      return { revision: null, applied: [], waiting: waitingNow(), watchedUntil: null, findings: next.warnings }
    }
    const begun = parts.look()
    let taken: ReturnType<typeof live.take>
    try {
      taken = live.take(next.config)
    } catch (error) {
      throw fail('invalid_request', `The settings were not taken over: ${toHubError(error).message}`, { cause: error })
    }
    let revision: Revision
    try {
      const seconds = loaded.config.reload.watch_seconds
      const outcome = seconds === 0 || taken.applied.length === 0 ? 'kept' : 'watched'
      if (write) replaceFile(next.file ?? parts.newFile, next.text)
      revision = await keep({ author, origin, outcome, reason: '', diff, ...taken }, next)
    } catch (error) {
      // What nobody wrote down must not run.
      if (write && next.text !== before.text) restoreFile(before.known)
      live.take(before.live)
      throw error
    }
    known = next
    bus.announce('settings.applied', { revisionId: revision.id, node, by: author.name, ...taken })
    if (revision.outcome === 'kept') tellLasting()
    else begin(revision, begun, before, write)
    return { revision, ...taken, watchedUntil: watch?.until ?? null, findings: [...next.warnings, ...findings] }
  }

  function begin(revision: Revision, begun: Look, before: { live: Config; known: Loaded }, write: boolean): void {
    const stop = new AbortController()
    const until = clock.now() + loaded.config.reload.watch_seconds * 1000
    const done = watchOver({ revision, stop, begun, before, until, write }).catch((error: unknown) =>
      log.error('Nobody could watch the new settings', { error }),
    )
    watch = { revision, stop, done, until }
  }

  async function watchOver(own: {
    revision: Revision
    stop: AbortController
    begun: Look
    before: { live: Config; known: Loaded }
    until: number
    write: boolean
  }): Promise<void> {
    const signal = AbortSignal.any([own.stop.signal, stopping.signal])
    const past = earlier[0] ?? own.begun
    while (clock.now() < own.until) {
      await clock.sleep(looksEveryMs, signal)
      if (signal.aborted) return
      const reason = findWorse({ earlier: past, begun: own.begun, now: parts.look() }, loaded.config.reload)
      if (reason === null) continue
      ending = takeBack(own, reason)
      return ending
    }
    watch = null
    ending = store.settle(own.revision.id, 'kept', '')
    await ending
    tellLasting()
  }

  /** After a roll-back the next settings that last end the alert of it. */
  function tellLasting(): void {
    bus.announce('settings.kept', { node })
    if (wasRolledBack) bus.announce('settings.rolled_back', { revisionId: '', node, reason: '', isOver: true })
    wasRolledBack = false
  }

  async function takeBack(
    { revision, before, write }: { revision: Revision; before: { live: Config; known: Loaded }; write: boolean },
    reason: string,
  ): Promise<void> {
    watch = null
    live.take(before.live)
    // A file that a person wrote stays as they left it; what the hub wrote it takes back.
    if (write) restoreFile(before.known)
    const told = write
      ? reason
      : `${reason}; the file still says so: mend it before the next start, or gatehouse config rollback`
    known = before.known
    wasRolledBack = true
    bus.announce('settings.rolled_back', { revisionId: revision.id, node, reason: told, isOver: false })
    await store.settle(revision.id, 'rolled_back', told)
    await audited('config.rollback', revision.id, { kind: 'hub', id: 'reload', name: 'reload' }, async () => ({
      reason: told,
      diff: revision.diff,
    }))
  }

  function restoreFile({ file, text }: Loaded): void {
    try {
      replaceFile(file ?? parts.newFile, text)
    } catch (error) {
      log.error('The configuration file could not be put back', { error })
    }
  }

  async function endWatch(): Promise<void> {
    const ended = watch
    if (ended === null) return
    watch = null
    ended.stop.abort()
    await ended.done
    await store.settle(ended.revision.id, 'kept', 'other settings came before its watch was over')
  }

  /** Writes into the audit log what no route does: that makes it a change marker of incidents, too. */
  async function audited<T>(action: string, target: string, actor: Author, work: () => Promise<T>): Promise<T> {
    const open = await parts.audit.begin({
      ...{ action, target, principal: null, actor, before: null },
      ...{ requestId: '', traceId: '', clientIp: '', userAgent: '' },
    })
    try {
      const result = await work()
      await open.end({ status: 200, code: '', after: result })
      return result
    } catch (error) {
      const { status, code } =
        error instanceof ConfigError ? { status: 400, code: 'invalid_request' } : toHubError(error)
      await open.end({ status, code })
      throw error
    }
  }

  function waitingNow(): string[] {
    return settings
      .filter(({ path }) => !isDeepStrictEqual(valueAt(loaded.config, path), valueAt(known.config, path)))
      .map(({ name }) => name)
  }

  async function follow(): Promise<void> {
    while (!stopping.signal.aborted) {
      if (watch === null) earlier.push(parts.look())
      if (earlier.length > earlierLooks) earlier.shift()
      await clock.sleep(looksEveryMs, stopping.signal)
    }
  }

  return {
    node,
    /** Writes down with what this node has started, where that differs from the last time. */
    async start(): Promise<void> {
      void follow()
      const before = await store.latest(node)
      const was = before === undefined ? null : open(before)
      const diff = was === null ? [] : differences(was.values, known.config)
      if (was !== null && diff.length === 0) return
      const author = { kind: 'hub', id: 'start', name: 'start' }
      const applied = diff.map(({ name }) => name)
      const rest = { author, origin: 'start', outcome: 'kept', reason: '', diff, applied, waiting: [] } as const
      await audited('config.start', node, author, async () => {
        const { id } = await keep({ ...rest, diff, applied, waiting: [] }, known)
        return { id, diff }
      })
    },

    async stop(): Promise<void> {
      stopping.abort()
      await queue
      await watch?.done
    },

    /** Reads the file and the variables again. Throws ConfigError, with nothing changed, where they will not do. */
    reload: (author: Author, origin: RevisionOrigin): Promise<Outcome> =>
      inTurn(async () => change(loaded.again(), author, origin, false)),

    /** The same for whoever is no request: it goes into the audit log from here. */
    reloadAudited: (author: Author, origin: RevisionOrigin): Promise<Outcome> =>
      inTurn(() => audited('config.reload', node, author, async () => change(loaded.again(), author, origin, false))),

    /** Writes settings into the file, which keeps its comments, and takes them over; null takes a setting out of it. */
    set: (wanted: Readonly<Record<string, unknown>>, author: Author): Promise<Outcome> =>
      inTurn(async () => {
        const now = loaded.again()
        return change(loaded.again(editAll(now.text, wanted, settings)), author, 'api', true)
      }),

    /** Writes the file as it was with an earlier revision, and takes it over. */
    rollback: (id: string, author: Author): Promise<Outcome> =>
      inTurn(async () => {
        const found = await store.find(id)
        if (found === undefined) throw fail('not_found', `There is no revision ${id}`)
        return change(loaded.again(open(found).text), author, 'rollback', true)
      }),

    /** The same for whoever is no request: it goes into the audit log from here. */
    rollbackAudited: (id: string): Promise<void> =>
      inTurn(async () => {
        const author = { kind: 'hub', id: 'incidents', name: 'incidents' }
        await audited('config.rollback', id, author, async () => {
          const found = await store.find(id)
          if (found === undefined) throw fail('not_found', `There is no revision ${id}`)
          const { revision } = await change(loaded.again(open(found).text), author, 'rollback', true)
          return { id: revision?.id ?? '', diff: revision?.diff ?? [] }
        })
      }),

    /** What `text`, or the file as it is, would change; nothing is changed. */
    async preview(
      text: string | undefined,
      isLive: boolean,
    ): Promise<{ diff: Change[]; findings: readonly Finding[] }> {
      const next = loaded.again(text)
      const diff = differences(known.config, next.config)
      const tried = isLive
        ? await parts.tryOut(
            next,
            settings.map(({ name }) => name),
          )
        : []
      return { diff, findings: [...next.warnings, ...tried] }
    },

    /** Resolves when nothing is being changed, kept or taken back at this moment. */
    async settled(): Promise<void> {
      await queue
      await ending
    },

    /** As it is now: live values, values that wait, and where each was set. */
    show() {
      const waiting = new Set(waitingNow())
      return {
        ...{ node, file: known.file, watchedUntil: watch?.until ?? null, revisionId: watch?.revision.id ?? null },
        settings: settings.map((setting) => ({
          setting,
          value: mask(setting, valueAt(loaded.config, setting.path)) ?? null,
          origin: known.origins.get(setting.name) ?? { source: 'default' as const, where: 'default' },
          pending: waiting.has(setting.name) ? (mask(setting, valueAt(known.config, setting.path)) ?? null) : undefined,
        })),
      }
    },
  }

  function open(stored: { id: string; sealed: string }): { text: string; values: Config } {
    return openRevision(stored, secrets)
  }
}

/** The text of a file with settings in it, or out of it where the value is null; unknown names throw. */
export function editAll(text: string, wanted: Readonly<Record<string, unknown>>, settings: readonly Setting[]): string {
  let edited = text
  for (const [name, value] of Object.entries(wanted)) {
    const { path } = findSetting(name, settings)
    edited = editToml(edited, path, value === null ? undefined : value)
  }
  return edited
}

/** The text of a revision's file, for whoever has the master key. */
export function openRevision(
  { id, sealed }: { id: string; sealed: string },
  secrets: Pick<Secrets, 'decrypt'>,
): { text: string; values: Config } {
  return JSON.parse(secrets.decrypt(sealed, contextOf(id))) as { text: string; values: Config }
}

function contextOf(id: string): string {
  return `config_revision:${id}`
}
