import type { Clock } from '../kernel/clock.ts'
import { fail, HubError } from '../kernel/errors.ts'
import { createId } from '../kernel/ids.ts'
import type { Bus } from '../platform/bus/bus.ts'
import type { Log } from '../platform/log.ts'
import { ownSource } from './schema.ts'
import type { Step } from './settings.ts'
import type { ActionRow, ActionState, FindingRow, RiskStore } from './store.ts'

/** What other rooms do for this one. Doing either twice is as doing it once. */
export type Levers = {
  /** Whether the key is on; null when there is none. */
  isKeyEnabled(keyId: string): Promise<boolean | null>
  setKeyEnabled(keyId: string, enabled: boolean): Promise<void>
  /** Writes down what the hub does of its own accord; the returned function says what became of it. */
  audit(action: string, target: string): Promise<(code: string, after: unknown) => Promise<void>>
}

export type Actions = ReturnType<typeof createActions>

/** States in which somebody was at work and may have died. */
const unfinished: readonly ActionState[] = ['intended', 'undoing', 'expiring']
const mostAtOnce = 500

export type ActionParts = {
  store: RiskStore
  levers: Levers
  changed(): Promise<void>
  bus: Bus
  clock: Clock
  log: Log
}

/**
 * What is done about findings. A throttle or a downgrade is nothing but its row in the state `done`, which every node
 * reads: it cannot be half there. Suspending a key changes another room: the intent is stored before, with how the key
 * was, the result after, and whoever comes next finishes what was left.
 */
export function createActions(own: ActionParts) {
  const { store, levers, bus, clock, log } = own

  async function move(action: ActionRow, from: readonly ActionState[], change: Partial<ActionRow>): Promise<boolean> {
    const isMoved = await store.moveAction(action.id, from, { ...change, updated_at: clock.now() })
    if (isMoved) await own.changed()
    return isMoved
  }

  /** From `intended` to `done`. */
  async function carryOut(action: ActionRow): Promise<void> {
    if (action.kind === 'suspend') {
      if (action.before_json === '') {
        const enabled = await levers.isKeyEnabled(action.key_id)
        if (enabled === null) {
          await move(action, ['intended'], { state: 'failed', error: 'the key is gone' })
          return
        }
        await move(action, ['intended'], { before_json: JSON.stringify({ enabled }) })
      }
      await levers.setKeyEnabled(action.key_id, false)
    }
    if (await move(action, ['intended'], { state: 'done', expires_at: clock.now() + action.ttl_ms })) {
      bus.announce('risk.action', { ...told(action), change: 'done' })
    }
  }

  /** From `undoing` or `expiring` to the end of it. */
  async function takeBack(action: ActionRow): Promise<void> {
    if (action.kind === 'suspend') {
      const before = action.before_json === '' ? null : (JSON.parse(action.before_json) as { enabled: boolean })
      // A key that was off before, or that somebody deleted meanwhile, stays as it is.
      if (before?.enabled && (await levers.isKeyEnabled(action.key_id)) === false && !(await isHeldOtherwise(action))) {
        await levers.setKeyEnabled(action.key_id, true)
      }
    }
    const state = action.state === 'expiring' ? 'expired' : 'undone'
    if (await move(action, ['undoing', 'expiring'], { state }))
      bus.announce('risk.action', { ...told(action), change: state })
  }

  /** Another finding may have suspended the same key; it then knows it as off, and this one hands over that it was on. */
  async function isHeldOtherwise(action: ActionRow): Promise<boolean> {
    const others = (await store.actionsIn(['done', 'intended'], 10_000)).filter(
      (each) => each.kind === 'suspend' && each.key_id === action.key_id && each.id !== action.id,
    )
    for (const other of others)
      await move(other, ['done', 'intended'], { before_json: JSON.stringify({ enabled: true }) })
    return others.length > 0
  }

  /** One unfinished action brought to its end, written into the audit log; what fails is tried again at the next turn. */
  async function finish(action: ActionRow): Promise<void> {
    const verb =
      action.state === 'intended'
        ? action.kind
        : action.state === 'expiring'
          ? `${action.kind}.expire`
          : `${action.kind}.undo`
    const end = await levers.audit(`risk.${verb}`, action.key_id || action.finding_id)
    try {
      await (action.state === 'intended' ? carryOut(action) : takeBack(action))
      await end('', { action: action.id, finding: action.finding_id, ttl_seconds: action.ttl_ms / 1000 })
    } catch (error) {
      await end(error instanceof HubError ? error.code : 'internal', null)
      log.warn(`The action ${action.kind} of a risk finding is not finished; it is tried again`, { error })
    }
  }

  async function decide(action: ActionRow, from: ActionState, to: ActionState, by: string): Promise<ActionRow> {
    if (!(await move(action, [from], { state: to, decided_by: by }))) {
      const now = (await store.actionsIn([action.state], mostAtOnce)).some(({ id }) => id === action.id)
        ? action.state
        : 'another state'
      throw fail(
        'conflict',
        `this action is ${now}; only one that is ${from} can be ${to === 'intended' ? 'approved' : to === 'refused' ? 'refused' : 'undone'}`,
        {
          param: 'id',
        },
      )
    }
    return { ...action, state: to, decided_by: by }
  }

  return {
    /** Writes down the step of an open finding, once; one that needs nobody's leave is done at the next turn. */
    async propose(finding: FindingRow, index: number, step: Step): Promise<void> {
      // A foreign gateway is never written to, and where there is no key there is none to hold.
      if (step.kind !== 'note' && step.kind !== 'notify' && (finding.source !== ownSource || finding.key_id === ''))
        return
      const now = clock.now()
      const row: ActionRow = {
        ...{ id: createId('riskAction', now), finding_id: finding.id, step: index, kind: step.kind },
        state: step.approval === 'auto' ? 'intended' : 'proposed',
        ...{ tenant_id: finding.tenant_id, key_id: finding.key_id, user_id: finding.user_id },
        ...{ model: step.model, rpm: step.rpm, ttl_ms: step.ttl_seconds * 1000, expires_at: 0 },
        ...{
          before_json: '',
          error: '',
          decided_by: step.approval === 'auto' ? 'policy' : '',
          created_at: now,
          updated_at: now,
        },
      }
      if (await store.proposeAction(row)) bus.announce('risk.action', { ...told(row), change: row.state })
    },

    async approve(action: ActionRow, by: string): Promise<void> {
      await finish(await decide(action, 'proposed', 'intended', by))
    },
    refuse: (action: ActionRow, by: string) => decide(action, 'proposed', 'refused', by),
    async undo(action: ActionRow, by: string): Promise<void> {
      await finish(await decide(action, 'done', 'undoing', by))
    },

    /** Finishes what was left unfinished, here or by a node that died, and ends what has held long enough. */
    async settle(): Promise<void> {
      for (const action of await store.dueActions(clock.now(), mostAtOnce)) {
        await store.moveAction(action.id, ['done'], { state: 'expiring', updated_at: clock.now() })
      }
      for (const action of await store.actionsIn(unfinished, mostAtOnce)) await finish(action)
    },
  }
}

function told({ id, finding_id, kind, tenant_id, key_id }: ActionRow) {
  return { actionId: id, findingId: finding_id, kind, tenantId: tenant_id, keyId: key_id }
}
