import { createDice } from '../kernel/dice.ts'
import { createDetector } from './detect.ts'
import type { Detection, RiskRow } from './schema.ts'
import { type RiskSettings, readSettings } from './settings.ts'

/** 2026-03-02, a Monday, 00:00 UTC. */
export const traceStart = Date.UTC(2026, 2, 2)
const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** Something that is to be found, or the name of something that is not. */
export type Incident = {
  scenario: string
  /** Ids and addresses by which a finding may name it. */
  entities: readonly string[]
  from: number
  to: number
  /** How long a rule looks at once where this can be seen: two of them may pass. */
  windowMs: number
}

export type Trace = { rows: RiskRow[]; incidents: Incident[]; days: number }

/**
 * Four weeks of a company's traffic with known crimes and known innocence in it. Its numbers are its own: nothing here is
 * read from the rules.
 */
export function makeTrace(seed: number): Trace {
  const random = createDice(seed)
  const between = (low: number, high: number) => low + (high - low) * random()
  const whole = (low: number, high: number) => Math.floor(between(low, high + 1))
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const days = 28
  const rows: RiskRow[] = []
  const incidents: Incident[] = []
  const models = ['gpt-4o', 'claude-sonnet', 'gemini-flash', 'deepseek-chat'] as const
  const pricePerToken = { 'gpt-4o': 6000, 'claude-sonnet': 8000, 'gemini-flash': 600, 'deepseek-chat': 800 }
  let number = 0
  const randomIp = () => `${whole(11, 99)}.${whole(0, 255)}.${whole(0, 255)}.${whole(1, 254)}`

  type Caller = {
    keyId: string
    userId: string
    ips: readonly string[]
    model: (typeof models)[number]
    size: number
    spread: number
  }

  function call(caller: Caller, at: number, changes: Partial<RiskRow> = {}): void {
    const tokens = Math.max(20, Math.round(caller.size * Math.exp(caller.spread * normal())))
    const tokensIn = changes.tokensIn ?? Math.round(tokens * 0.8)
    const tokensOut = changes.tokensOut ?? tokens - Math.round(tokens * 0.8)
    const model = (changes.model ?? caller.model) as keyof typeof pricePerToken
    rows.push({
      ...{ id: `r${++number}`, at: Math.floor(at), source: 'trace', tenantId: 'ten_a' },
      ...{ userId: caller.userId, keyId: caller.keyId, model, provider: 'p', ip: pick(caller.ips) },
      ...{ status: 200, outcome: 'success', ...changes },
      ...{ tokensIn, tokensOut, costNanoUsd: (tokensIn + tokensOut) * pricePerToken[model] },
    })
  }

  /** Poisson arrivals with a rate an hour that changes by the minute. */
  function arrivals(from: number, to: number, perHour: (at: number) => number, each: (at: number) => void): void {
    for (let at = from; at < to; at += minuteMs) {
      const mean = perHour(at) / 60
      if (mean <= 0) continue
      let [count, product] = [0, random()]
      if (mean > 20) count = Math.max(0, Math.round(mean + Math.sqrt(mean) * normal()))
      else for (const floor = Math.exp(-mean); product > floor; product *= random()) count++
      for (let i = 0; i < count; i++) each(at + random() * minuteMs)
    }
  }

  const hourOf = (at: number) => Math.floor((at % dayMs) / hourMs)
  const isWeekend = (at: number) => Math.floor((at - traceStart) / dayMs) % 7 >= 5
  const at = (day: number, hour: number) => traceStart + day * dayMs + hour * hourMs
  const end = at(days, 0)

  function worker(
    name: string,
    ips: readonly string[],
    busiest = between(8, 30),
  ): Caller & { rate(at: number): number } {
    const begins = whole(7, 9)
    const ends = whole(17, 20)
    return {
      ...{ keyId: `key_${name}`, userId: `usr_${name}`, ips, model: pick(models) },
      ...{ size: between(800, 4000), spread: between(0.4, 0.9) },
      rate: (time) => {
        const hour = hourOf(time)
        const isAtWork = hour >= begins && hour < ends && !isWeekend(time)
        return isAtWork
          ? busiest * (hour === 12 ? 0.4 : 1)
          : isWeekend(time) && hour > 9 && hour < 20
            ? busiest * 0.05
            : 0
      },
    }
  }
  const live = (
    caller: ReturnType<typeof worker>,
    from = traceStart,
    to = end,
    scale: (at: number) => number = () => 1,
  ) =>
    arrivals(
      from,
      to,
      (time) => caller.rate(time) * scale(time),
      (time) => call(caller, time),
    )

  function server(name: string, perHour: number, size = between(500, 2000)): Caller & { rate(at: number): number } {
    const net = `${whole(101, 180)}.${whole(0, 255)}`
    return {
      ...{ keyId: `key_${name}`, userId: `usr_${name}`, model: pick(models), size, spread: 0.6 },
      ips: Array.from({ length: 3 }, () => `${net}.${whole(0, 255)}.${whole(1, 254)}`),
      rate: (time) => perHour * (0.6 + 0.4 * Math.sin(((hourOf(time) - 9) / 24) * 2 * Math.PI)),
    }
  }

  // Innocent: people at work, some in one office behind one address, some with two lines, one who travels.
  const office = randomIp()
  for (let i = 0; i < 12; i++) live(worker(`office${i}`, [office]))
  for (let i = 0; i < 6; i++) live(worker(`home${i}`, [randomIp(), randomIp()]))
  const traveller = worker('traveller', [randomIp()], 20)
  live(traveller, traceStart, at(17, 0))
  live({ ...traveller, ips: [randomIp()] }, at(17, 0), at(20, 0))
  live(traveller, at(20, 0))
  // Innocent: a steady service, a batch job every Sunday night, a launch that grows by the hour and stays.
  live(server('service', 60))
  const batch = server('batch', 8)
  live(batch)
  for (let week = 0; week < 4; week++) {
    const begins = at(week * 7 + 6, 2)
    arrivals(
      begins,
      begins + 2 * hourMs,
      () => 900,
      (time) => call(batch, time),
    )
  }
  const launch = server('launch', 40)
  const launchAt = at(whole(15, 18), 9)
  const grown = between(8, 14)
  const speed = between(1.25, 1.5)
  live(launch, traceStart, end, (time) =>
    time < launchAt ? 1 : Math.min(grown, speed ** ((time - launchAt) / hourMs)),
  )
  // Innocent: a provider that is away for everybody for twenty minutes, and honest large documents.
  const outage = at(whole(9, 12), 10)
  for (const row of rows) {
    if (row.at >= outage && row.at < outage + 20 * minuteMs)
      Object.assign(row, { outcome: 'failure', status: 502, costNanoUsd: 0 })
  }
  const reader = worker('reader', [randomIp()])
  live({ ...reader, spread: 1.3 })

  // Guilty.
  const crime = (scenario: string, entities: readonly string[], from: number, to: number, windowMs = hourMs) =>
    incidents.push({ scenario, entities, from, to, windowMs })

  const stolen = worker('stolen', [randomIp()])
  live(stolen)
  const theft = at(whole(16, 19), 3)
  const thief = { ...stolen, ips: [randomIp()], size: stolen.size * between(0.7, 1.5) }
  arrivals(
    theft,
    theft + 2 * hourMs,
    () => between(150, 400),
    (time) => call(thief, time),
  )
  crime('key stolen at 3 a.m.', [stolen.keyId], theft, theft + 2 * hourMs)

  const daylight = worker('daylight', [randomIp()])
  live(daylight)
  const robbery = at(pick([15, 16, 17]), 10)
  arrivals(
    robbery,
    robbery + 3 * hourMs,
    () => between(60, 150),
    (time) =>
      call({ ...daylight, ips: [randomIp()].slice(0, 1) }, time, { ip: `${thief.ips[0]!.split('.')[0]}.9.8.7` }),
  )
  crime('key used beside its owner', [daylight.keyId], robbery, robbery + 3 * hourMs)

  const shared = worker('shared', [randomIp()])
  live(shared)
  const passedOn = at(pick([15, 16, 17, 18]), whole(10, 14))
  const friends = Array.from({ length: whole(9, 25) }, randomIp)
  arrivals(
    passedOn,
    passedOn + 4 * hourMs,
    () => friends.length * 4,
    (time) => call({ ...shared, ips: friends }, time),
  )
  crime('shared key', [shared.keyId], passedOn, passedOn + 4 * hourMs)

  const leak = server('leak', 25, 3000)
  const leakAt = at(10, 0)
  live(leak, traceStart, end, (time) => (time < leakAt ? 1 : 1.05 ** ((time - leakAt) / dayMs)))
  crime('slow leak, +5 % a day', [leak.keyId], leakAt, end, 7 * dayMs)

  const runaway = server('runaway', 20)
  live(runaway)
  const looping = at(whole(15, 19), whole(0, 23))
  arrivals(
    looping,
    looping + hourMs,
    () => between(1500, 3000),
    (time) => call(runaway, time),
  )
  crime('agent in a loop', [runaway.keyId], looping, looping + hourMs)

  const flood = worker('flood', [randomIp()])
  live(flood)
  const floods = at(pick([8, 9, 10, 11]), whole(10, 15))
  arrivals(
    floods,
    floods + 10 * minuteMs,
    () => between(15_000, 30_000),
    (time) => call({ ...flood, size: 100 }, time),
  )
  crime('flood', [flood.keyId], floods, floods + 10 * minuteMs, minuteMs)

  const prober = randomIp()
  const probing = at(whole(5, 25), whole(0, 23))
  const nobody = { keyId: '', userId: '', ips: [prober], model: models[0], size: 10, spread: 0 }
  arrivals(
    probing,
    probing + 30 * minuteMs,
    () => between(150, 600),
    (time) => call(nobody, time, { tokensIn: 0, tokensOut: 0, status: pick([401, 401, 403]), outcome: 'refused' }),
  )
  crime('probing of keys', [prober], probing, probing + 30 * minuteMs, 10 * minuteMs)

  const farmIp = randomIp()
  const farmAt = at(whole(5, 25), whole(0, 23))
  const farmers = Array.from({ length: whole(9, 30) }, (_, i) => worker(`farm${i}`, [farmIp]))
  arrivals(
    farmAt,
    farmAt + 2 * hourMs,
    () => farmers.length * 12,
    (time) => call(pick(farmers), time),
  )
  crime('accounts from one address', [farmIp, ...farmers.map(({ keyId }) => keyId)], farmAt, farmAt + 2 * hourMs)

  const broken = worker('broken', [randomIp()], 40)
  live(broken)
  const breaks = at(pick([15, 16, 17]), 10)
  arrivals(
    breaks,
    breaks + 2 * hourMs,
    () => between(120, 300),
    (time) => call(broken, time, { status: 400, outcome: 'failure', tokensOut: 0 }),
  )
  for (const row of rows) {
    if (row.keyId === broken.keyId && row.at >= breaks && row.at < breaks + 2 * hourMs)
      Object.assign(row, { status: 400, outcome: 'failure' })
  }
  crime('a client that only fails', [broken.keyId], breaks, breaks + 2 * hourMs)

  const stuffed = worker('stuffed', [randomIp()], 20)
  live({ ...stuffed, spread: 0.6 })
  const stuffing = at(pick([15, 16, 17]), 11)
  for (let i = 0; i < 3; i++)
    call(stuffed, stuffing + i * minuteMs, { tokensIn: whole(150_000, 400_000), tokensOut: 200 })
  crime('a giant prompt', [stuffed.keyId], stuffing, stuffing + 3 * minuteMs, minuteMs)

  return { rows: rows.sort((a, b) => a.at - b.at), incidents, days }
}

/** Every minute that a rule spoke of, as live traffic would have had it: rows by the minute, then the minute closed. */
export function detectAll(rows: readonly RiskRow[], settings: RiskSettings = readSettings({})): Detection[] {
  const detector = createDetector({ source: 'trace', settings })
  detector.feed(rows)
  return detector.close(Number.MAX_SAFE_INTEGER)
}

/** What is one finding: the same rule of the same thing without a silence longer than `quietMs`. */
export type Span = { rule: string; entities: readonly string[]; from: number; to: number }

export function spansOf(detections: readonly Detection[], settings: RiskSettings = readSettings({})): Span[] {
  const open = new Map<string, Span>()
  const spans: Span[] = []
  for (const { rule, entity, keyId, ip, to } of detections) {
    const key = `${rule} ${entity}`
    const span = open.get(key)
    if (span !== undefined && to - span.to <= settings.rules[rule]!.quiet_seconds * 1000) {
      span.to = to
      continue
    }
    const made = { rule, entities: [keyId, ip].filter((each) => each !== ''), from: to, to }
    open.set(key, made)
    spans.push(made)
  }
  return spans
}

export type Score = { scenario: string; caught: number; of: number; inTime: number }
export type Scored = {
  precision: number
  recall: number
  inTime: number
  scores: Score[]
  falseAlarms: Span[]
  rightAlarms: number
}

/** A finding is right when it names something of an incident while that lasts, or within two of its windows after. */
export function score(traces: readonly { trace: Trace; spans: readonly Span[] }[]): Scored {
  const scores = new Map<string, Score>()
  const falseAlarms: Span[] = []
  let right = 0
  for (const { trace, spans } of traces) {
    for (const span of spans) {
      if (trace.incidents.some((incident) => isOf(span, incident))) right++
      else falseAlarms.push(span)
    }
    for (const incident of trace.incidents) {
      const first = spans.filter((span) => isOf(span, incident)).sort((a, b) => a.from - b.from)[0]
      const entry = scores.get(incident.scenario) ?? { scenario: incident.scenario, caught: 0, of: 0, inTime: 0 }
      entry.of++
      if (first !== undefined) entry.caught++
      if (first !== undefined && first.from <= incident.from + 2 * incident.windowMs + minuteMs) entry.inTime++
      scores.set(incident.scenario, entry)
    }
  }
  const all = [...scores.values()]
  const sum = (pick: (each: Score) => number) => all.reduce((total, each) => total + pick(each), 0)
  return {
    precision: right / Math.max(1, right + falseAlarms.length),
    recall: sum((each) => each.caught) / sum((each) => each.of),
    inTime: sum((each) => each.inTime) / sum((each) => each.of),
    ...{ scores: all, falseAlarms, rightAlarms: right },
  }
}

function isOf(span: Span, incident: Incident): boolean {
  return (
    span.from >= incident.from &&
    span.from <= incident.to + 2 * incident.windowMs &&
    span.entities.some((entity) => incident.entities.includes(entity))
  )
}
