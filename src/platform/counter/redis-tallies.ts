import type { Clock } from '../../kernel/clock.ts'
import { defineScript, type Redis } from '../redis.ts'
import { type Charge, type Demand, type Hold, settledMs, type Tallies, windowParts } from './counter.ts'

/**
 * Each tally has two Redis keys, both with a time to live. A window: a hash of part → count. Slots: a sorted set of
 * holders by the end of their lease. A budget: a hash (`spent`, `held`, `known`, `told:<limit>`, `r<holder>` → amount)
 * and a sorted set of `r<holder>` and settled `s<holder>` by when they end.
 *
 * Lua counts in doubles: amounts stay below 2^53, and are written with %.0f because tostring() turns them into 1e+15.
 */
const prelude = `
local now = tonumber(ARGV[1])
if now == nil then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local parts = ${windowParts}
local function text(number) return string.format('%.0f', number) end
local function leaves(part, span) return math.floor((part + parts + 1) * span / parts) end
local function part_of(at, span) return math.floor(at / (span / parts)) end

local function number_at(hash, field) return tonumber(redis.call('HGET', hash, field) or '0') end
-- Nothing is not written down: %.0f makes -0 of it, which Redis does not read.
local function add(hash, field, number)
  if number ~= 0 then redis.call('HINCRBY', hash, field, text(number)) end
end

local function unreserve(hash, due, member)
  add(hash, 'held', -number_at(hash, member))
  redis.call('HDEL', hash, member)
  redis.call('ZREM', due, member)
end

local function reserve(hash, due, member, amount, ends)
  add(hash, 'held', amount - number_at(hash, member))
  redis.call('HSET', hash, member, text(amount))
  redis.call('ZADD', due, text(ends), member)
end

local function sweep(hash, due)
  repeat
    local ended = redis.call('ZRANGEBYSCORE', due, '-inf', text(now), 'LIMIT', 0, 500)
    for _, member in ipairs(ended) do
      if string.sub(member, 1, 1) == 'r' then unreserve(hash, due, member) else redis.call('ZREM', due, member) end
    end
  until #ended < 500
end

local function keep(hash, due, life)
  redis.call('PEXPIRE', hash, life)
  redis.call('PEXPIRE', due, life)
end

local function tell(hash, limit, answer)
  local spent = number_at(hash, 'spent')
  local field = 'told:' .. text(limit)
  local before = number_at(hash, field)
  local after = 100
  if limit > 0 then after = math.min(100, math.floor(spent * 100 / limit)) end
  if after > before then redis.call('HSET', hash, field, after) else after = before end
  answer[#answer + 1] = spent
  answer[#answer + 1] = before
  answer[#answer + 1] = after
end
`

// Looks at all demands first, then counts: by all or in none.
const admit = defineScript(`${prelude}
local holder, lease = ARGV[2], tonumber(ARGV[3])
local answer = {1, now}
local refused, unknown = false, false

local function look_at_window(key, limit, cost, span)
  local all = redis.call('HGETALL', key)
  local sum, counted = 0, {}
  for i = 1, #all, 2 do
    local part = tonumber(all[i])
    if leaves(part, span) <= now then redis.call('HDEL', key, all[i])
    else
      local amount = tonumber(all[i + 1])
      sum = sum + amount
      counted[#counted + 1] = {part, amount}
    end
  end
  table.sort(counted, function(a, b) return a[1] < b[1] end)
  if sum + cost <= limit then
    return 1, limit - sum, sum == 0 and 0 or leaves(counted[#counted][1], span) - now
  end
  local left = sum
  for _, each in ipairs(counted) do
    left = left - each[2]
    if left + cost <= limit then return 0, limit - sum, leaves(each[1], span) - now end
  end
  return 0, limit - sum, span
end

for i = 1, #KEYS / 2 do
  local key, due, a = KEYS[2 * i - 1], KEYS[2 * i], 3 + (i - 1) * 4
  local kind, limit, cost, span = ARGV[a + 1], tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  local met, known, remaining, reset = 1, 1, 0, 0
  if kind == 'window' then met, remaining, reset = look_at_window(key, limit, cost, span)
  elseif kind == 'slot' then
    redis.call('ZREMRANGEBYSCORE', due, '-inf', text(now))
    remaining = limit - redis.call('ZCARD', due)
    if remaining <= 0 and not redis.call('ZSCORE', due, holder) then met = 0 end
  else
    sweep(key, due)
    remaining = limit - number_at(key, 'spent') - number_at(key, 'held')
    if remaining <= 0 or cost > remaining then met = 0 end
    known = redis.call('HEXISTS', key, 'known')
  end
  if met == 0 then refused = true end
  if known == 0 then unknown = true end
  answer[#answer + 1] = met
  answer[#answer + 1] = known
  answer[#answer + 1] = math.max(0, remaining)
  answer[#answer + 1] = reset
end

if unknown then answer[1] = 2 return answer end
if refused then answer[1] = 0 return answer end

for i = 1, #KEYS / 2 do
  local key, due, a, b = KEYS[2 * i - 1], KEYS[2 * i], 3 + (i - 1) * 4, 2 + (i - 1) * 4
  local kind, limit, cost, span = ARGV[a + 1], tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4])
  if kind == 'window' then
    if cost > 0 then
      local part = part_of(now, span)
      redis.call('HINCRBY', key, text(part), text(cost))
      redis.call('PEXPIRE', key, text(leaves(part, span) - now))
      answer[b + 3] = math.max(0, answer[b + 3] - cost)
      answer[b + 4] = leaves(part, span) - now
    end
  elseif kind == 'slot' then
    redis.call('ZADD', due, text(now + lease), holder)
    redis.call('PEXPIRE', due, lease)
    answer[b + 3] = math.max(0, limit - redis.call('ZCARD', due))
  else
    reserve(key, due, 'r' .. holder, cost, now + lease)
    keep(key, due, span)
    answer[b + 3] = math.max(0, limit - number_at(key, 'spent') - number_at(key, 'held'))
  end
end
return answer
`)

const settle = defineScript(`${prelude}
local holder = ARGV[2]
local answer = {}
for i = 1, #KEYS / 2 do
  local key, due, a = KEYS[2 * i - 1], KEYS[2 * i], 2 + (i - 1) * 5
  local kind, b, c, d, e = ARGV[a + 1], tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
  if kind == 'slot' then redis.call('ZREM', due, holder)
  elseif kind == 'unreserve' then unreserve(key, due, 'r' .. holder)
  elseif kind == 'window' then
    local span, at, reserved, used = b, c, d, e
    if used > reserved then
      local part = part_of(now, span)
      redis.call('HINCRBY', key, text(part), text(used - reserved))
      redis.call('PEXPIRE', key, text(leaves(part, span) - now))
    elseif used < reserved then
      local part = text(part_of(at, span))
      local counted = redis.call('HGET', key, part)
      if counted then redis.call('HSET', key, part, text(math.max(0, tonumber(counted) - (reserved - used)))) end
    end
  else
    local cost, limit, life = b, c, d
    sweep(key, due)
    if not redis.call('ZSCORE', due, 's' .. holder) then
      unreserve(key, due, 'r' .. holder)
      redis.call('ZADD', due, text(now + ${settledMs}), 's' .. holder)
      add(key, 'spent', cost)
    end
    keep(key, due, life)
    tell(key, limit, answer)
  end
end
return answer
`)

const renew = defineScript(`${prelude}
local lease = tonumber(ARGV[2])
for i = 1, #KEYS / 2 do
  local key, due, a = KEYS[2 * i - 1], KEYS[2 * i], 2 + (i - 1) * 4
  local kind, holder, cost, life = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  if kind == 'slot' then
    redis.call('ZADD', due, text(now + lease), holder)
    redis.call('PEXPIRE', due, lease)
  elseif not redis.call('ZSCORE', due, 's' .. holder) then
    reserve(key, due, 'r' .. holder, tonumber(cost), now + lease)
    keep(key, due, life)
  end
end
return 1
`)

const raise = defineScript(`${prelude}
local key, due, spent, limit = KEYS[1], KEYS[2], tonumber(ARGV[2]), tonumber(ARGV[3])
if spent > number_at(key, 'spent') then redis.call('HSET', key, 'spent', text(spent)) end
redis.call('HSET', key, 'known', 1)
keep(key, due, ARGV[4])
local answer = {}
tell(key, limit, answer)
return answer
`)

const read = defineScript(`${prelude}
local answer = {}
for i = 1, #KEYS / 2 do
  sweep(KEYS[2 * i - 1], KEYS[2 * i])
  answer[#answer + 1] = number_at(KEYS[2 * i - 1], 'spent')
  answer[#answer + 1] = number_at(KEYS[2 * i - 1], 'held')
end
return answer
`)

/** Bounded, so that one script never keeps Redis for long. */
const batchSize = 200

/**
 * Tallies of all nodes on one Redis. Time is the server's own, because the clocks of nodes differ; tests give theirs.
 * Every verb rejects with `unavailable` when Redis does not answer.
 */
export function createRedisTallies({ redis, clock }: { redis: Redis; clock?: Clock }): Tallies {
  const now = () => (clock === undefined ? '' : String(clock.now()))
  return {
    async admit(holder, demands, leaseMs) {
      const values = demands.flatMap(demandValues)
      const answer = (await admit(redis, keysOf(demands), [now(), holder, leaseMs, ...values])) as number[]
      const [code, at = 0] = answer
      return {
        result: code === 1 ? 'admitted' : code === 2 ? 'unknown' : 'refused',
        at,
        standings: demands.map((_, i) => {
          const [isMet, isKnown, remaining = 0, resetMs = 0] = answer.slice(2 + i * 4, 6 + i * 4)
          return { isMet: isMet === 1, isKnown: isKnown === 1, remaining, resetMs }
        }),
      }
    },
    async settle(holder, charges) {
      const answer = (await settle(redis, keysOf(charges), [
        now(),
        holder,
        ...charges.flatMap(chargeValues),
      ])) as number[]
      let told = 0
      return charges.map(({ kind }) => (kind === 'budget' ? spendingOf(answer, 3 * told++) : null))
    },
    async renew(holds, leaseMs) {
      for (let i = 0; i < holds.length; i += batchSize) {
        const batch = holds.slice(i, i + batchSize)
        await renew(redis, keysOf(batch), [now(), leaseMs, ...batch.flatMap(holdValues)])
      }
    },
    async raise({ key, limit, lifeMs }, spent) {
      const answer = await raise(redis, keysOf([{ key }]), [now(), spent, limit, Math.ceil(lifeMs)])
      return spendingOf(answer as number[], 0)
    },
    async read(keys) {
      const balances: { spent: number; held: number }[] = []
      for (let i = 0; i < keys.length; i += batchSize) {
        const batch = keys.slice(i, i + batchSize)
        const answer = (await read(redis, keysOf(batch.map((key) => ({ key }))), [now()])) as number[]
        for (let j = 0; j < batch.length; j++) balances.push({ spent: answer[2 * j]!, held: answer[2 * j + 1]! })
      }
      return balances
    },
  }
}

function keysOf(named: readonly { key: string }[]): string[] {
  return named.flatMap(({ key }) => [`gatehouse:tally:${key}`, `gatehouse:tally:${key}:due`])
}

function demandValues(demand: Demand): (string | number)[] {
  if (demand.kind === 'window') return [demand.kind, demand.limit, demand.cost, demand.windowMs]
  if (demand.kind === 'slot') return [demand.kind, demand.limit, 0, 0]
  return [demand.kind, demand.limit, demand.cost, Math.ceil(demand.lifeMs)]
}

function chargeValues(charge: Charge): (string | number)[] {
  if (charge.kind === 'window') return [charge.kind, charge.windowMs, charge.at, charge.reserved, charge.used]
  if (charge.kind === 'budget') return [charge.kind, charge.cost, charge.limit, Math.ceil(charge.lifeMs), 0]
  return [charge.kind, 0, 0, 0, 0]
}

function holdValues(hold: Hold): (string | number)[] {
  if (hold.kind === 'slot') return [hold.kind, hold.holder, 0, 0]
  return [hold.kind, hold.holder, hold.cost, Math.ceil(hold.lifeMs)]
}

function spendingOf(answer: readonly number[], from: number) {
  return { spent: answer[from]!, fromPercent: answer[from + 1]!, toPercent: answer[from + 2]! }
}
