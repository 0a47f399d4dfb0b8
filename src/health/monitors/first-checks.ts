import { type Level, type MonitorWish, monitorCreate } from './schema.ts'

type First = {
  name: string
  level: Level
  type: string
  description: string
  parameters: object
} & Partial<MonitorWish>

/** Seed 004's table: every 30 s, 10 s time, 3 tries. */
const seedTimes = { interval_seconds: 30, timeout_seconds: 10, failures: 3, successes: 1 } as const

const own = (level: Level, part: string, description: string): First => ({
  ...{ name: `hub: ${part}`, level, type: 'hub', description, parameters: { part } },
  ...seedTimes,
  failures: part === 'workers' ? 1 : 3,
})

/**
 * What a hub begins with: its own parts on the four levels of seed 004, which run at once; and that seed's four services
 * with its times, which wait for their addresses.
 */
const firstChecks: readonly First[] = [
  own('container', 'workers', 'Every worker of the process goes on: 进程存活.'),
  own('container', 'event_loop', 'The process comes to its work in time.'),
  own('container', 'disk', 'The data folder has room.'),
  own('application', 'database', 'The main store answers: 数据库连接.'),
  own('application', 'redis', 'Redis answers, where there is one.'),
  own('business', 'ledger', 'Calls can be entered.'),
  own('business', 'ai_service', 'A provider of models is well: 外部服务调用.'),
  {
    ...{ name: 'Backend', level: 'service', type: 'http', description: 'Seed 004: /health every 30 s.', ...seedTimes },
    ...{ parameters: { url: 'http://backend:7860/health' }, enabled: false },
  },
  {
    ...{ name: 'Frontend', level: 'service', type: 'http', description: 'Seed 004: / every 30 s.', ...seedTimes },
    ...{ parameters: { url: 'http://frontend:8090/' }, enabled: false },
  },
  {
    ...{ name: 'MySQL', level: 'application', type: 'mysql', description: 'Seed 004: mysqladmin ping.', ...seedTimes },
    ...{ parameters: { host: 'mysql' }, timeout_seconds: 20, failures: 10, enabled: false },
  },
  {
    ...{ name: 'Redis', level: 'application', type: 'redis', description: 'Seed 004: redis-cli ping.', ...seedTimes },
    ...{ parameters: { host: 'redis' }, enabled: false },
  },
]

export function listFirstChecks(): MonitorWish[] {
  return firstChecks.map((each) => monitorCreate.parse(each))
}
