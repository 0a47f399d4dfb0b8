import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { metricNamesOf } from '../../src/telemetry/index.ts'
import { until } from '../harness/control.ts'
import { startHub, type TestHub } from '../harness/hub.ts'
import { readDocuments } from './chart.ts'

const deploy = new URL('../../deploy/', import.meta.url).pathname
const postgres = process.env.GATEHOUSE_TEST_POSTGRES_URL
const redis = process.env.GATEHOUSE_TEST_REDIS_URL

type Target = { expr: string; refId: string }
type Panel = {
  id: number
  type: string
  title: string
  targets?: Target[]
  gridPos: Record<'x' | 'y' | 'w' | 'h', number>
}
type Dashboard = {
  uid: string
  title: string
  panels: Panel[]
  templating: { list: { name: string; query: string | { query: string } }[] }
}

const dashboards = globSync('grafana/dashboards/*.json', { cwd: deploy })
  .sort()
  .map((file) => ({
    name: basename(file, '.json'),
    ...(JSON.parse(readFileSync(join(deploy, file), 'utf8')) as Dashboard),
  }))

/** An expression as Grafana sends it. */
const sent = (text: string) => text.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*')
const expressionsOf = ({ panels }: Dashboard) =>
  panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => sent(expr)))
const rules = readFileSync(join(deploy, 'prometheus/rules/gatehouse-outside.yml'), 'utf8')

/** What Prometheus makes itself. */
const ofPrometheus = new Set(['up', 'ALERTS'])
/** Names that a metric's text has, and those its histograms are asked by. */
let names: Set<string>
let labels: Map<string, Set<string>>
let hub: TestHub

async function readNames(): Promise<void> {
  const response = await fetch(`${hub.url}/metrics`, { headers: { 'x-admin-key': hub.adminKey } })
  const text = await response.text()
  names = new Set(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name, type]) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name!],
    ),
  )
  labels = new Map()
  for (const [, name, inside] of text.matchAll(/^(gatehouse_\w+)\{([^}]*)\}/gm)) {
    const known = labels.get(name!) ?? new Set()
    for (const [, label] of inside!.matchAll(/(\w+)="/g)) known.add(label!)
    labels.set(name!, known)
  }
}

beforeAll(async () => {
  hub = await startHub({
    settings: {
      'log.level': 'info',
      ...(postgres ? { 'collectors.postgres': [`watched=${postgres}`] } : {}),
      ...(redis ? { 'collectors.redis': [`watched=${redis}`] } : {}),
      'telemetry.interval_seconds': 1,
    },
  })
  const wanted = ['gatehouse_host_cpu_seconds_total', 'gatehouse_sqlite_bytes']
  if (postgres) wanted.push('gatehouse_postgres_connections', 'gatehouse_postgres_transactions_total')
  if (redis) wanted.push('gatehouse_redis_ping_seconds')
  await until('the collectors have read', async () => {
    await readNames()
    return wanted.every((name) => names.has(name))
  })
})

afterAll(() => hub?.stop())

/** Whether a metric cannot be here because a server is not. */
const isAway = (name: string) =>
  (!postgres && name.startsWith('gatehouse_postgres_')) || (!redis && name.startsWith('gatehouse_redis_'))

describe('the dashboards', () => {
  test('are the four that operators ask for', () => {
    expect(dashboards.map(({ name }) => name)).toEqual(['application', 'business', 'errors', 'system'])
    expect(dashboards.map(({ uid }) => uid)).toEqual(dashboards.map(({ name }) => `gatehouse-${name}`))
  })

  test.each(dashboards)('$name asks for metrics that the hub has, in expressions that can be read', (dashboard) => {
    const expressions = expressionsOf(dashboard)
    expect(expressions.length).toBeGreaterThan(12)
    for (const expression of expressions) {
      const asked = metricNamesOf(expression)
      expect([expression, asked.length]).not.toEqual([expression, 0])
      const missing = asked.filter((name) => !names.has(name) && !ofPrometheus.has(name) && !isAway(name))
      expect([expression, missing]).toEqual([expression, []])
    }
  })

  test.each(dashboards)('$name groups by labels that the metrics have', (dashboard) => {
    const given = new Set(['instance', 'job', 'le', 'alertname', 'severity'])
    for (const expression of expressionsOf(dashboard)) {
      const asked = metricNamesOf(expression)
      // A counter that has counted nothing yet shows no labels.
      const shown = asked.map((name) => labels.get(name))
      if (shown.some((each) => each === undefined)) continue
      const known = new Set([...given, ...shown.flatMap((each) => [...each!])])
      const by = [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(', '))
      expect([expression, by.filter((label) => !known.has(label))]).toEqual([expression, []])
    }
  })

  test.each(dashboards)('$name can be drawn: no panel over another, no number twice', ({ panels }) => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
  })

  test('are where Grafana is told to look, and ask the Prometheus it is given', () => {
    const compose = readDocuments('observed', readFileSync(join(deploy, 'compose/observed.yml'), 'utf8'))[0]
    const provider = readFileSync(join(deploy, 'grafana/provisioning/dashboards/gatehouse.yml'), 'utf8')
    const path = /path: ([^ }]+)/.exec(provider)![1]!
    expect(JSON.stringify(compose)).toContain(`../grafana/dashboards:${path}:ro`)
    const source = readFileSync(join(deploy, 'grafana/provisioning/datasources/prometheus.yml'), 'utf8')
    for (const { templating } of dashboards)
      expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'instance'])
    expect(source).toContain('uid: gatehouse-prometheus')
  })
})

test('the rules that a hub cannot have about itself are there, and ask Prometheus alone', () => {
  const expressions = [...rules.matchAll(/^ +expr: (.+)$/gm)].map(([, expression]) => expression!)
  expect(expressions.flatMap((expression) => metricNamesOf(expression))).toEqual(['up', 'up'])
})
