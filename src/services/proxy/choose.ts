import { hashUnit } from '../../kernel/hash-unit.ts'
import type { DirectoryService, InstanceState } from '../directory.ts'
import { balanceOf } from './balance/index.ts'
import type { Member } from './member.ts'

export type Ask = {
  nowMs: number
  random(): number
  /** Whom to keep on one instance and on one side of a canary: the caller, else its address. */
  affinity: string
  /** A header of the request by its name in lower case, '' when absent. */
  header(name: string): string
  /** Those asked already for the same call. */
  tried: readonly Member[]
  protectPercent: number
}

export type Choice = {
  member: Member
  /** Too few are fit, so that all are asked. */
  isPanic: boolean
}

const fitStates: Partial<Record<InstanceState, true>> = { passing: true, warning: true }
/** Who is leaving or was taken out by a person gets nothing even then. */
const lastResort: Partial<Record<InstanceState, true>> = {
  passing: true,
  warning: true,
  starting: true,
  critical: true,
}

/** The instance for a call; null when there is none to ask. */
export function choose(service: DirectoryService, members: readonly Member[], ask: Ask): Choice | null {
  const { canary } = service.routing
  if (canary === null) return chooseAmong(service, members, ask)
  const isCanary = (member: Member) => member.instance.tags.includes(canary.tag)
  const wantsCanary = goesToCanary(service, canary, ask)
  const own = members.filter((member) => isCanary(member) === wantsCanary)
  // A canary that is down is no reason to fail, nor is a stable side that is.
  return chooseFit(service, own, ask) ?? chooseAmong(service, members, ask)
}

/** By header, else the same callers always, as many as the share says. */
function goesToCanary(
  service: DirectoryService,
  canary: NonNullable<DirectoryService['routing']['canary']>,
  ask: Ask,
): boolean {
  if (canary.header !== '' && ask.header(canary.header) === canary.headerValue) return true
  if (canary.percent <= 0) return false
  const place = ask.affinity === '' ? ask.random() : hashUnit(`${service.id}\n${ask.affinity}`)
  return place * 100 < canary.percent
}

function chooseAmong(service: DirectoryService, members: readonly Member[], ask: Ask): Choice | null {
  return chooseFit(service, members, ask) ?? choosePanicking(service, members, ask)
}

function chooseFit(service: DirectoryService, members: readonly Member[], ask: Ask): Choice | null {
  const { nowMs, tried } = ask
  if (members.length === 1) {
    const only = members[0]!
    const isFit = only.weight > 0 && fitStates[only.instance.state] === true && only.isTrusted(nowMs)
    return isFit && tried.length === 0 ? { member: only, isPanic: false } : null
  }
  const fit = members.filter(
    (member) => member.weight > 0 && fitStates[member.instance.state] === true && member.isTrusted(nowMs),
  )
  if (ask.protectPercent > 0) {
    const all = members.filter((member) => member.weight > 0 && lastResort[member.instance.state] === true)
    if (fit.length * 100 < ask.protectPercent * all.length) return null
  }
  return pickFrom(service, fit, ask, false)
}

function choosePanicking(service: DirectoryService, members: readonly Member[], ask: Ask): Choice | null {
  const all = members.filter((member) => member.weight > 0 && lastResort[member.instance.state] === true)
  return pickFrom(service, all, ask, true)
}

function pickFrom(
  { routing }: DirectoryService,
  members: readonly Member[],
  ask: Ask,
  isPanic: boolean,
): Choice | null {
  const left = ask.tried.length === 0 ? members : members.filter((member) => !ask.tried.includes(member))
  if (left.length === 0) return null
  if (left.length === 1) return { member: left[0]!, isPanic }
  const isHashed = routing.balance === 'consistent_hash'
  const hashKey = !isHashed ? '' : routing.hashBy === 'user' ? ask.affinity : ask.header(routing.hashBy)
  return { member: balanceOf(routing.balance).pick(left, { random: ask.random, hashKey }), isPanic }
}
