import { count, milliseconds, moment, money, size } from '../format.ts'
import { currentLanguage } from '../i18n.ts'
import { stateName } from '../locales/states.ts'
import type { Column, Row, Shown } from './resource.ts'

const none = '–'

/** A value in words; texts are written as text, whatever they hold. */
export function valueText(value: unknown, show: Shown = 'text', t: (key: string) => string): string {
  if (value === null || value === undefined || value === '') return none
  switch (show) {
    case 'moment':
      return moment(value as string)
    case 'money':
      return money(Number(value))
    case 'count':
      return count(Number(value))
    case 'words':
      return (value as unknown[]).map((one) => stateName(one, currentLanguage())).join(', ') || none
    case 'bytes':
      return size(Number(value))
    case 'word':
    case 'state':
      return stateName(value, currentLanguage())
    case 'milliseconds':
      return milliseconds(Number(value))
    case 'seconds':
      return milliseconds(Number(value) * 1000)
    case 'yesNo':
      return t(value ? 'yes' : 'no')
    case 'list':
      return Array.isArray(value) ? (value.length === 0 ? none : value.map(String).join(', ')) : t('all')
    default:
      return typeof value === 'object' ? JSON.stringify(value) : String(value)
  }
}

/** How a field is written whose column nobody described, by its name and what it holds. */
export function guessShown(key: string, value: unknown): Shown {
  if (typeof value === 'boolean') return 'yesNo'
  if (/_at$|^(?:at|since|timestamp|last_heartbeat|read_up_to)$/.test(key)) return 'moment'
  if (/^(?:state|status|outcome|severity|level|kind|role|scope|period)$/.test(key) && typeof value === 'string')
    return 'word'
  if (/(?:^|_)bytes$/.test(key)) return 'bytes'
  if (/_nano_usd$/.test(key)) return 'money'
  if (/_ms$/.test(key)) return 'milliseconds'
  if (/_seconds$/.test(key)) return 'seconds'
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return 'list'
  if (typeof value === 'number') return 'count'
  return /(?:^|_)(?:id|ip|trace|hash|url|cursor)$/.test(key) ? 'mono' : 'text'
}

export const readValue = ({ key, of }: Column, row: Row): unknown => (of === undefined ? row[key] : of(row))

const good = [
  'ok',
  'up',
  'success',
  'done',
  'ready',
  'passing',
  'healthy',
  'delivered',
  'reading',
  'true',
  'resolved',
  'met',
  'operational',
  'closed',
]
const bad = [
  'down',
  'failure',
  'failed',
  'dead',
  'critical',
  'unreachable',
  'refused',
  'broken',
  'firing',
  'high',
  'P0',
  'P1',
  'fail',
  'breached',
  'outage',
  'major',
  'unhealthy',
  'broken',
]
const uneasy = [
  'pending',
  'warn',
  'at_risk',
  'half_open',
  'resting',
  'minor',
  'P2',
  'warning',
  'degraded',
  'inconclusive',
  'open',
  'proposed',
  'truncated',
  'aborted',
  'medium',
  'acknowledged',
]

/** The colour of a state, which stands beside its word. */
export function toneOf(value: unknown): 'success' | 'danger' | 'warning' | 'info' {
  const word = String(value)
  if (good.includes(word)) return 'success'
  if (bad.includes(word)) return 'danger'
  return uneasy.includes(word) ? 'warning' : 'info'
}
