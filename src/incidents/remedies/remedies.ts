import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../kernel/clock.ts'
import { fail, HubError } from '../../kernel/errors.ts'
import { createId } from '../../kernel/ids.ts'
import { everything, type Scope, withinTenant } from '../../kernel/scope.ts'
import type { Log } from '../../platform/log.ts'
import type { Secrets } from '../../platform/secrets.ts'
import type { Action, ActionLevers, At, Plan } from '../actions/action.ts'
import { actions } from '../actions/index.ts'
import type { Incidents } from '../incidents.ts'
import { isActive } from '../life.ts'
import { type Actor, hubActor } from '../schema.ts'
import type { IncidentsStore } from '../store.ts'
import type { Remedy, RemedyStore } from './store.ts'

export type Remedies = ReturnType<typeof createRemedies>
export type Wish = { action: string; parameters: Readonly<Record<string, unknown>> }

/** Whoever has been at it for so long has died. */
const lostMs = 60_000
const mostAtOnce = 50

/**
 * What the hub does about an incident because somebody asked for it: shown before it is done, written down before and
 * after, taken back by hand or when its time is over. Whoever goes on after a crash finishes what was begun.
 */
export function createRemedies(parts: {
  remedyStore: RemedyStore
  store: IncidentsStore
  incidents: Incidents
  levers: ActionLevers
  secrets: Pick<Secrets, 'derive'>
  clock: Clock
  log: Log
}) {
  const { remedyStore, store, incidents, levers, clock, log } = parts
  const key = parts.secrets.derive('incident action confirmation v1')

  function actionOf(name: string): Action {
    const found = actions.find((each) => each.name === name)
    if (found !== undefined) return found
    const known = actions.map((each) => each.name).join(', ')
    throw fail('invalid_request', `there is no action ${name}; there are ${known}`, { param: 'action' })
  }

  function read(action: Action, written: unknown): Readonly<Record<string, unknown>> {
    const found = action.parameters.safeParse(written)
    if (found.success) return found.data
    const { path, message } = found.error.issues[0]!
    const param = ['parameters', ...path].join('.')
    throw fail('invalid_request', `${param}: ${message}`, { param })
  }

  /** Of what was shown and nothing else: another state of things needs another look. */
  const confirmationOf = (incidentId: string, { action, parameters }: Wish, { before }: Plan) =>
    createHmac('sha256', key)
      .update(JSON.stringify([incidentId, action, parameters, before]))
      .digest('base64url')

  async function planOf(scope: Scope, id: string, wish: Wish) {
    const found = await store.find(scope, id)
    if (found === undefined) throw fail('not_found', `there is no incident ${id}`, { param: 'id' })
    if (!isActive(found.incident)) {
      throw fail('conflict', `${id} is ${found.incident.state}: actions are for what is not over`, { param: 'id' })
    }
    const action = actionOf(wish.action)
    if (action.access === 'super_admin' && scope.kind !== 'everything') {
      throw fail('forbidden', `${action.name} concerns everybody: a super administrator has to do it`, {
        param: 'action',
      })
    }
    const parameters = read(action, wish.parameters)
    const at: At = { levers, scope, parameters }
    const plan = await action.plan(at)
    return { action, at, plan, confirm: confirmationOf(id, { action: action.name, parameters }, plan), found }
  }

  function contextOf({ isOfTenant, tenantId, parameters }: Remedy): At {
    return { levers, scope: isOfTenant ? withinTenant(tenantId) : everything, parameters }
  }

  /** Moves it on and says so in the timeline, both or neither; false when somebody else was faster. */
  async function move(
    remedy: Remedy,
    from: readonly Remedy['state'][],
    to: Remedy['state'],
    words: { kind: string; text: string; actor: Actor; error?: string },
  ): Promise<boolean> {
    const at = Math.max(clock.now(), remedy.updatedAt + 1)
    const { incident, result } = await store.transaction((trx) =>
      incidents.changeIn(trx, everything, remedy.incidentId, words.actor, async (incident, turn) => {
        if (!(await remedyStore.move(trx, remedy, from, { state: to, error: words.error ?? '', at }))) return false
        if (words.actor.kind !== 'hub') incident.lastWordAt = turn.now
        turn.say(words.kind, words.text, { action: remedy.action, target: remedy.target, id: remedy.id })
        return true
      }),
    )
    if (!result) return false
    incidents.told(incident)
    Object.assign(remedy, { state: to, error: words.error ?? '', updatedAt: at })
    return true
  }

  async function carryOut(remedy: Remedy): Promise<void> {
    const action = actionOf(remedy.action)
    try {
      await action.run(contextOf(remedy))
    } catch (error) {
      const told = describe(error)
      log.warn(`The action ${remedy.action} of ${remedy.incidentId} failed`, { error })
      const text = `${action.title.en}: ${remedy.target} – ${told}`
      await move(remedy, ['intended'], 'failed', { kind: 'action_failed', text, actor: hubActor, error: told })
      return
    }
    const text = `${action.title.en}: ${remedy.target}`
    await move(remedy, ['intended'], 'done', { kind: 'action_done', text, actor: hubActor })
  }

  async function takeBack(remedy: Remedy): Promise<void> {
    const action = actionOf(remedy.action)
    let came: Awaited<ReturnType<Action['undo']>>
    try {
      came = await action.undo(contextOf(remedy), remedy.before)
    } catch (error) {
      if (!(error instanceof HubError && error.code === 'not_found')) {
        // It stays in hand: the next turn tries again.
        log.warn(`The action ${remedy.action} of ${remedy.incidentId} could not be taken back yet`, { error })
        throw error
      }
      came = 'changed_meanwhile'
    }
    const text =
      came === 'restored'
        ? (remedy.undo?.en ?? '')
        : `${remedy.target} was changed or removed meanwhile, and stays as it is`
    await move(remedy, ['undoing'], 'undone', { kind: 'action_undone', text, actor: hubActor })
  }

  return {
    /** Says what would be done; nothing is. */
    async dryRun(scope: Scope, id: string, wish: Wish) {
      const { plan, confirm } = await planOf(scope, id, wish)
      return { plan, confirm }
    },

    /** Does what was shown: `confirm` is that of a dry run, and things are as they were then. */
    async take(scope: Scope, id: string, actor: Actor, wish: Wish & { confirm: string }): Promise<Remedy> {
      const { action, at, plan, confirm, found } = await planOf(scope, id, wish)
      const [given, wanted] = [Buffer.from(wish.confirm), Buffer.from(confirm)]
      if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
        throw fail(
          'conflict',
          'confirm is not that of what would be done now: ask with dry_run, read what it will do, and send its confirm',
          { param: 'confirm' },
        )
      }
      const now = clock.now()
      const minutes = Number(at.parameters.minutes ?? 0)
      const remedy: Remedy = {
        ...{ id: createId('incidentAction', now), incidentId: id, tenantId: found.incident.tenantId },
        ...{ action: action.name, target: plan.target, parameters: at.parameters, before: plan.before },
        ...{ isOfTenant: scope.kind !== 'everything', will: plan.will, undo: plan.undo, state: 'intended', error: '' },
        ...{ by: actor, at: now, endsAt: minutes === 0 ? null : now + minutes * 60_000, updatedAt: now },
      }
      // Written down before anything happens: whoever comes after a crash knows of it.
      await store.transaction((trx) =>
        incidents.changeIn(trx, scope, id, actor, async (incident, turn) => {
          await remedyStore.insert(trx, remedy)
          incident.lastWordAt = turn.now
          turn.say('action', `${action.title.en}: ${plan.target}`, { action: action.name, will: plan.will.en })
        }),
      )
      await carryOut(remedy)
      return remedy
    },

    async undo(scope: Scope, id: string, actor: Actor, remedyId: string): Promise<Remedy> {
      const found = await store.find(scope, id)
      const remedy = found && (await remedyStore.find(id, remedyId))
      if (remedy === undefined) throw fail('not_found', `there is no action ${remedyId}`, { param: 'action' })
      const action = actionOf(remedy.action)
      if (action.access === 'super_admin' && scope.kind !== 'everything') {
        throw fail('forbidden', 'a super administrator did this, and has to take it back', { param: 'action' })
      }
      if (remedy.undo === null) throw fail('conflict', `${action.name} cannot be taken back`, { param: 'action' })
      const begun = await move(remedy, ['done'], 'undoing', {
        ...{ kind: 'action', text: `${action.title.en}: ${remedy.target} – is taken back`, actor },
      })
      if (!begun) {
        throw fail('conflict', `it is ${remedy.state}: only what was done can be taken back`, { param: 'action' })
      }
      await takeBack(remedy)
      return remedy
    },

    list: (id: string): Promise<Remedy[]> => remedyStore.of(id),

    /** Takes back what is due, and goes on with what somebody left who died. */
    async settleDue(signal?: AbortSignal): Promise<void> {
      const now = clock.now()
      for (const remedy of await remedyStore.due(now, now - lostMs, mostAtOnce)) {
        if (signal?.aborted) return
        if (remedy.state === 'intended') await carryOut(remedy)
        else if (remedy.state === 'undoing') await takeBack(remedy).catch(() => {})
        else {
          const text = `${remedy.target}: its time is over`
          const begun = await move(remedy, ['done'], 'undoing', { kind: 'action', text, actor: hubActor })
          if (begun) await takeBack(remedy).catch(() => {})
        }
      }
    },
  }
}

function describe(error: unknown): string {
  return error instanceof HubError ? error.message : 'it failed; the log says why'
}
