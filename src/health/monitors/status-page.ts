import { escapeHtml } from '../../kernel/html.ts'
import type { MonitorState } from './judge.ts'
import type { Level } from './schema.ts'

/** What everybody may see of a check: no address, no message, no tenant. */
export type PublicCheck = {
  id: string
  name: string
  level: Level
  state: MonitorState
  uptime_day: number | null
  uptime_month: number | null
  state_since: string | null
}

export type PublicOverview = {
  status: 'operational' | 'degraded' | 'outage' | 'maintenance' | 'unknown'
  checks: PublicCheck[]
  at: string
}

export function judgePublic(checks: readonly PublicCheck[]): PublicOverview['status'] {
  const down = checks.filter(({ state }) => state === 'down').length
  if (checks.length === 0) return 'unknown'
  if (down > 0) return down === checks.length ? 'outage' : 'degraded'
  if (checks.some(({ state }) => state === 'maintenance')) return 'maintenance'
  return checks.every(({ state }) => state === 'up') ? 'operational' : 'unknown'
}

type Language = 'en' | 'zh'
const words = {
  en: {
    ...{ operational: 'Everything is in order', degraded: 'Some things are down', outage: 'Everything is down' },
    ...{
      maintenance: 'Maintenance',
      unknown: 'Not everything is known',
      title: 'Status',
      none: 'Nothing is shown here yet.',
    },
    ...{
      up: 'up',
      down: 'down',
      pending: 'pending',
      inconclusive: 'inconclusive',
      day: '24 h',
      month: '30 days',
      at: 'As of',
    },
    levels: { container: 'Containers', service: 'Services', application: 'Applications', business: 'Business' },
  },
  zh: {
    ...{ operational: '一切正常', degraded: '部分服务故障', outage: '全部服务故障' },
    ...{ maintenance: '维护中', unknown: '部分状态未知', title: '服务状态', none: '暂无公开的检查项。' },
    ...{
      up: '正常',
      down: '故障',
      pending: '待确认',
      inconclusive: '无法判断',
      day: '24 小时',
      month: '30 天',
      at: '更新于',
    },
    levels: { container: '容器', service: '服务', application: '应用', business: '业务' },
  },
} as const

const colours: Record<string, string> = {
  ...{ up: '#2e9e5b', operational: '#2e9e5b', down: '#d1383d', outage: '#d1383d', degraded: '#d98a1f' },
  ...{ pending: '#d98a1f', maintenance: '#3b7dd8', inconclusive: '#7a8794', unknown: '#7a8794' },
}

export function renderStatusPage({ status, checks, at }: PublicOverview, language: Language, title: string): string {
  const say = words[language]
  const groups = (['business', 'application', 'service', 'container'] as const)
    .map((level) => [level, checks.filter((each) => each.level === level)] as const)
    .filter(([, members]) => members.length > 0)
  const heading = escapeHtml(title || `Gatehouse · ${say.title}`)
  return `<!doctype html>
<html lang="${language === 'zh' ? 'zh-CN' : 'en'}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="60">
<title>${heading}</title>
<style>
body { font: 16px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 6vh auto; padding: 0 1.5rem; color: #1c2733; background: #f7f8fa }
h1 { font-size: 1.5rem } h2 { font-size: 1rem; color: #5b6b7b; margin: 1.6rem 0 .4rem }
.all { padding: .7rem 1rem; border-radius: 8px; color: #fff; font-weight: 600 }
table { border-collapse: collapse; width: 100% } td { padding: .45rem .3rem; border-top: 1px solid #e1e6ec } td + td { text-align: right; white-space: nowrap; color: #5b6b7b }
i { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .6em } small { color: #5b6b7b }
@media (prefers-color-scheme: dark) { body { color: #dce3ea; background: #12171d } td { border-color: #222b35 } td + td, h2, small { color: #8fa0b1 } }
</style>
<h1>${heading}</h1>
<p class="all" style="background:${colours[status]}">${say[status]}</p>
${groups.map(([level, members]) => `<h2>${say.levels[level]}</h2>\n<table>\n${members.map((each) => renderRow(each, say)).join('\n')}\n</table>`).join('\n') || `<p>${say.none}</p>`}
<p><small>${say.at} ${escapeHtml(at)}</small></p>
</html>
`
}

function renderRow(check: PublicCheck, say: (typeof words)[Language]): string {
  const { name, state } = check
  return `<tr><td><i style="background:${colours[state]}"></i>${escapeHtml(name)}</td><td>${say[state]}</td><td>${say.day} ${percent(check.uptime_day)}</td><td>${say.month} ${percent(check.uptime_month)}</td></tr>`
}

/** A badge in the usual shape, for README files. */
export function renderBadge(label: string, value: string, colour: string): string {
  const [left, right] = [label, value].map(
    (text) => 10 + [...text].reduce((sum, char) => sum + (char.charCodeAt(0) > 255 ? 12 : 7), 0),
  ) as [number, number]
  const [shownLabel, shownValue] = [escapeHtml(label), escapeHtml(value)]
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + right}" height="20" role="img" aria-label="${shownLabel}: ${shownValue}"><title>${shownLabel}: ${shownValue}</title><rect width="${left}" height="20" fill="#555"/><rect x="${left}" width="${right}" height="20" fill="${colour}"/><g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11"><text x="${left / 2}" y="14">${shownLabel}</text><text x="${left + right / 2}" y="14">${shownValue}</text></g></svg>
`
}

export function colourOf(state: string): string {
  return colours[state] ?? colours.unknown!
}

export function colourOfUptime(uptime: number | null): string {
  if (uptime === null) return colours.unknown!
  return uptime >= 0.999 ? colours.up! : uptime >= 0.95 ? colours.pending! : colours.down!
}

/** Never rounded up to a hundred. */
export function percent(share: number | null): string {
  return share === null ? '–' : `${(Math.floor(share * 100_000) / 1000).toFixed(share === 1 ? 0 : 2)} %`
}
