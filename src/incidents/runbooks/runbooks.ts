import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listFiles, readTextIfPresent } from '../../platform/files.ts'
import type { Category } from '../schema.ts'

export type Runbook = {
  /** File name of its page in docs/runbook, without `.md`. */
  name: string
  title: { en: string; zh: string }
  /** Alerts and checks that it is for, by name. */
  signs: RegExp
  categories: readonly Category[]
}

const folder = fileURLToPath(new URL('../../../docs/runbook', import.meta.url))

/** Seed 003 §3's five faults first, then what else the hub watches of itself. */
const runbooks: readonly Runbook[] = [
  {
    name: 'cannot_start',
    title: { en: 'The hub does not start', zh: '应用无法启动' },
    signs: /cannot_?start|service_?down|hub_?down/i,
    categories: ['service'],
  },
  {
    name: 'database',
    title: { en: 'The database cannot be reached', zh: '数据库连接失败' },
    signs: /database|db_|^db|postgres|mysql|sqlite|slow_?quer/i,
    categories: ['data'],
  },
  {
    name: 'redis',
    title: { en: 'Redis cannot be reached', zh: 'Redis连接失败' },
    signs: /redis|cache/i,
    categories: [],
  },
  {
    name: 'performance',
    title: { en: 'It is slow', zh: '性能问题' },
    signs: /slow|latency|cpu|memory|throughput|event_?loop|queue/i,
    categories: ['performance'],
  },
  {
    name: 'ai_service',
    title: { en: 'Calls to models fail', zh: 'AI调用失败' },
    signs: /ai_?service|provider|model|quota|breaker|key_?dead|error_?rate/i,
    categories: [],
  },
  { name: 'disk', title: { en: 'The disk is full', zh: '磁盘空间不足' }, signs: /disk/i, categories: [] },
  {
    name: 'ledger',
    title: { en: 'The ledger cannot be written', zh: '账本无法写入' },
    signs: /ledger/i,
    categories: [],
  },
  {
    name: 'event_loop',
    title: { en: 'The event loop is held up', zh: '事件循环阻塞' },
    signs: /event_?loop|stall/i,
    categories: [],
  },
]

/** Every page of docs/runbook: those above, then one for each alert that comes with the hub, called as the alert is. */
export function listRunbooks(): readonly Runbook[] {
  const named = new Set(runbooks.map(({ name }) => name))
  const others = listFiles('*.md', folder).map((path) => basename(path, '.md'))
  return [...runbooks, ...others.filter((name) => !named.has(name)).map(pageOf)]
}

function pageOf(name: string): Runbook {
  return { name, title: { en: name, zh: name }, signs: new RegExp(`^${name}$`), categories: [] }
}

/** Which pages help with what alerts are called and what they say is broken; by kind of fault where no name fits. */
export function runbooksFor(
  names: readonly string[],
  cause: Readonly<Record<string, string>>,
  category: Category,
): Runbook[] {
  const words = [...names, ...Object.keys(cause), ...(cause.check === undefined ? [] : [cause.check])].map((word) =>
    word.replace(/([a-z])([A-Z])/g, '$1_$2'),
  )
  // The page of the alert itself says most.
  const own = listRunbooks().filter(({ name }) => names.includes(name))
  const found = [...own, ...runbooks.filter(({ signs }) => words.some((word) => signs.test(word)))]
  return found.length > 0 ? found : runbooks.filter(({ categories }) => categories.includes(category))
}

/** The page as Markdown; null where this installation has no docs. */
export function readRunbook({ name }: Runbook): string | null {
  return readTextIfPresent(join(folder, `${name}.md`))
}
