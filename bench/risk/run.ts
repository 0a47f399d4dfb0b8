/**
 * How well the shipped risk rules do on made-up months with known crimes in them, beside the SQL of newapi-monitor. Seeds
 * are to be such as nobody tuned the rules by: `npm run bench -- risk 101 102 103`.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { detectAll, makeTrace, type Span, score, spansOf, type Trace } from '../../src/risk/testing.ts'

const given = process.argv.slice(2).map(Number).filter(Number.isSafeInteger)
const seeds = given.length > 0 ? given : [101, 102, 103, 104, 105]

/** Its jobs with their intervals and look-backs, and the alarm's pause of 300 s; the conditions as it has them. */
const jobs = [
  {
    ...{ rule: 'burst', everySeconds: 60, backSeconds: 300 },
    sql: `select token_id as entity from logs where at >= ? and at < ? group by token_id
          having count(*) >= 120 and max(at) - min(at) <= 60 limit 100`,
  },
  {
    ...{ rule: 'multi_user_token', everySeconds: 300, backSeconds: 3600 },
    sql: `select token_id as entity from logs where at >= ? and at < ? group by token_id
          having count(distinct user_id) >= 2 limit 100`,
  },
  {
    ...{ rule: 'ip_many_users', everySeconds: 300, backSeconds: 3600 },
    sql: `select ip as entity from logs where at >= ? and at < ? and ip <> '' group by ip
          having count(distinct user_id) >= 5 limit 100`,
  },
  {
    ...{ rule: 'big_request', everySeconds: 600, backSeconds: 7200 },
    sql: `with some as (select * from logs where at >= ? and at < ? and tokens > 0),
          stats as (select avg(tokens) as mean, avg(tokens * tokens) - avg(tokens) * avg(tokens) as variance from some)
          select distinct token_id as entity from some, stats where tokens > mean + 3 * sqrt(max(variance, 0)) limit 100`,
  },
]

function ancestorOf({ rows }: Trace): Span[] {
  const db = new Database(':memory:')
  db.exec(
    'create table logs (at integer, token_id text, user_id text, ip text, tokens real); create index logs_at on logs (at)',
  )
  const insert = db.prepare('insert into logs values (?, ?, ?, ?, ?)')
  db.transaction(() => {
    for (const { at, keyId, userId, ip, tokensIn, tokensOut } of rows) {
      insert.run(Math.floor(at / 1000), keyId, userId, ip, tokensIn + tokensOut)
    }
  })()
  const [first, last] = [Math.floor(rows[0]!.at / 1000), Math.floor(rows.at(-1)!.at / 1000)]
  const spans: Span[] = []
  for (const { rule, everySeconds, backSeconds, sql } of jobs) {
    const query = db.prepare(sql)
    const open = new Map<string, Span>()
    for (let at = first + everySeconds; at <= last + everySeconds; at += everySeconds) {
      for (const { entity } of query.all(at - backSeconds, at) as { entity: string }[]) {
        const known = open.get(entity)
        // The same silence as ours is allowed to it, not its own of five minutes: alarms are counted alike.
        if (known !== undefined && at * 1000 - known.to <= 3_600_000) {
          known.to = at * 1000
          continue
        }
        const span = { rule, entities: [entity], from: at * 1000, to: at * 1000 }
        open.set(entity, span)
        spans.push(span)
      }
    }
  }
  db.close()
  return spans
}

const traces = seeds.map(makeTrace)
let rows = 0
const begun = performance.now()
const ours = traces.map((trace) => {
  rows += trace.rows.length
  return { trace, spans: spansOf(detectAll(trace.rows)) }
})
const seconds = (performance.now() - begun) / 1000
const result = score(ours)
const ancestor = score(traces.map((trace) => ({ trace, spans: ancestorOf(trace) })))
const percent = (share: number) => `${(share * 100).toFixed(1)} %`.padStart(8)

const said: string[] = []
const say = (line: string) => {
  said.push(line)
  console.log(line)
}
say(`seeds ${seeds.join(' ')}: ${rows} calls, ${Math.round(rows / seconds)} a second\n`)
say(`${'scenario'.padEnd(30)} caught      in time     ancestor`)
for (const { scenario, caught, of, inTime } of result.scores) {
  const other = ancestor.scores.find((each) => each.scenario === scenario)!
  say(`${scenario.padEnd(30)} ${`${caught}/${of}`.padEnd(11)} ${`${inTime}/${of}`.padEnd(11)} ${other.caught}/${of}`)
}
say(`\n${''.padEnd(12)} precision   recall  in time  false alarms`)
for (const [name, each] of [
  ['shipped', result],
  ['ancestor', ancestor],
] as const) {
  say(
    `${name.padEnd(12)} ${percent(each.precision)} ${percent(each.recall)} ${percent(each.inTime)}  ${each.falseAlarms.length}`,
  )
}
const blamed = new Map<string, number>()
for (const { rule, entities } of result.falseAlarms)
  blamed.set(`${rule} ${entities.join()}`, (blamed.get(`${rule} ${entities.join()}`) ?? 0) + 1)
for (const [what, count] of blamed) say(`  false: ${what} × ${count}`)
if (given.length === 0) {
  const file = new URL('results/latest.txt', import.meta.url)
  mkdirSync(new URL('.', file), { recursive: true })
  writeFileSync(file, `${said.join('\n')}\n`)
}
if (result.precision < 0.9 || result.recall < 0.9 || result.inTime < 0.9) process.exitCode = 1
