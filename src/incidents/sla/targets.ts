import type { Severity } from '../severity.ts'
import type { Amount, Calendar } from './calendar.ts'

/**
 * What a level of service is measured by: somebody has taken it on; a workaround holds and nobody is hurt any longer; all
 * is as it was, and that was verified. Each from the moment it was declared.
 */
export const slaClocks = ['response', 'handling', 'recovery'] as const
export type SlaClock = (typeof slaClocks)[number]

const minute = 60_000
const hour = 60 * minute

/** Seed 003 §5.3, word for word. */
export const targets: Readonly<Record<Severity, Readonly<Record<SlaClock, Amount>>>> = {
  P0: { response: { ms: 15 * minute }, handling: { ms: 2 * hour }, recovery: { ms: 4 * hour } },
  P1: { response: { ms: 30 * minute }, handling: { ms: 4 * hour }, recovery: { ms: 8 * hour } },
  P2: { response: { ms: 2 * hour }, handling: { workingDays: 1 }, recovery: { workingDays: 2 } },
  P3: { response: { workingDays: 1 }, handling: { workingDays: 2 }, recovery: { workingDays: 5 } },
}

export type Calendars = { always: Calendar; working: Calendar }

/** P0 and P1 know no night; P2 and P3 are worked on in working time. */
export function calendarOf(severity: Severity, calendars: Calendars): Calendar {
  return severity === 'P0' || severity === 'P1' ? calendars.always : calendars.working
}

export function part(amount: Amount, share: number): Amount {
  return 'ms' in amount ? { ms: amount.ms * share } : { workingDays: amount.workingDays * share }
}

/** `15 min`, `2 h`, `1 working day`. */
export function writeAmount(amount: Amount, language: 'en' | 'zh'): string {
  if ('workingDays' in amount) {
    const { workingDays } = amount
    return language === 'zh' ? `${workingDays}个工作日` : `${workingDays} working day${workingDays === 1 ? '' : 's'}`
  }
  const isHours = amount.ms % hour === 0
  const value = amount.ms / (isHours ? hour : minute)
  return language === 'zh' ? `${value}${isHours ? '小时' : '分钟'}` : `${value} ${isHours ? 'h' : 'min'}`
}
