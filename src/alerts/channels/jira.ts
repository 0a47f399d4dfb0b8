import { z } from 'zod'
import { jiraMarkup } from '../writing/dialects.ts'
import { webAddress } from '../writing/fields.ts'
import { shorten, shortenText } from '../writing/shorten.ts'
import {
  defineChannel,
  delivered,
  failed,
  isOutcome,
  judgeStatus,
  type Outcome,
  post,
  readObject,
  type SendContext,
} from './channel.ts'

// https://developer.atlassian.com/cloud/jira/platform/rest/v2/: version 2 takes wiki markup, on servers and in the cloud.
const mostDescription = 32_767
const mostSummary = 255

export const jira = defineChannel({
  type: 'jira',
  describe: { en: 'An issue in Jira, moved on when it is over.', zh: 'Jira 工单：自动创建，恢复后自动流转。' },
  parameters: z.strictObject({
    url: webAddress
      .describe('As in https://example.atlassian.net.')
      .meta({ zh: 'Jira 地址，例如 https://example.atlassian.net。' }),
    user: z
      .string()
      .max(320)
      .default('')
      .describe('Address of the account; empty where the token stands alone (Data Center).')
      .meta({ zh: '账户邮箱；Data Center 的个人令牌留空。' }),
    token: z
      .string()
      .min(1)
      .max(500)
      .describe('API token. Sealed, never shown.')
      .meta({ zh: 'API 令牌。加密保存，不再显示。' }),
    project: z
      .string()
      .regex(/^[A-Z][A-Z0-9_]{0,30}$/, 'is a key such as OPS')
      .describe('Key of the project.')
      .meta({ zh: '项目键。' }),
    issue_type: z.string().min(1).max(100).default('Task').describe('Kind of the issue.').meta({ zh: '工单类型。' }),
    priorities: z
      .partialRecord(z.enum(['critical', 'high', 'warning', 'info']), z.string().max(100))
      .default({})
      .describe('Priority by severity, as in critical = "Highest"; what is not named is left to Jira.')
      .meta({ zh: '各级别对应的优先级，例如 critical = "Highest"；未设置则由 Jira 决定。' }),
    labels: z
      .array(z.string().regex(/^\S{1,100}$/))
      .max(20)
      .default([])
      .describe('Labels of its own.')
      .meta({ zh: '附加标签。' }),
    resolve_transition: z
      .string()
      .max(100)
      .default('Done')
      .describe('Name of the transition, or of the status it leads to, when it is over; empty: people move it.')
      .meta({ zh: '恢复时执行的流转名称或目标状态；留空则由人工处理。' }),
  }),
  secrets: ['token'],
  medium: 'ticket',
  endsTests: true,
  rates: [{ messages: 60, perMs: 60_000 }],
  addresses: ({ url }) => [url],
  write(message, { project, issue_type, priorities, labels }) {
    const fits = (text: string) => text.length <= mostDescription
    const { text, cut } = shorten(message.document, jiraMarkup, fits, message.words)
    const priority = priorities[message.severity]
    const fields = {
      project: { key: project },
      issuetype: { name: issue_type },
      summary: shortenText(message.title, (each) => each.length <= mostSummary),
      description: text,
      labels: ['gatehouse', labelOf(message.key), ...labels],
      ...(priority === undefined ? {} : { priority: { name: priority } }),
    }
    return { text, body: JSON.stringify({ fields }), cut }
  },
  async send(written, message, parameters, context) {
    const { url, user, token, resolve_transition } = parameters
    const base = `${url.replace(/\/$/, '')}/rest/api/2/issue`
    const authorization =
      user === '' ? `Bearer ${token}` : `Basic ${Buffer.from(`${user}:${token}`).toString('base64')}`
    const ask = (path: string, body?: unknown) => askJira(context, base + path, authorization, body)
    const isOver = message.action === 'resolve'
    if (context.thread === '') {
      if (isOver) return { ...delivered('There is no issue to move on.', 0), thread: null }
      const before = context.mayHaveArrived ? await findIssue(context, url, authorization, message.key) : null
      if (before !== null) return { ...delivered(`Issue ${before} was made before.`, 200, before), thread: before }
      const made = await ask('', JSON.parse(written.body))
      if ('isDelivered' in made) return made
      const { key } = made.read
      if (typeof key === 'string') return { ...delivered(`Issue ${key}.`, made.status, key), thread: key }
      return failed('answer', 'Jira answered without the key of an issue', { status: made.status, isFinal: true })
    }
    const issue = `/${encodeURIComponent(context.thread)}`
    const told = await ask(`${issue}/comment`, { body: written.text })
    if ('isDelivered' in told) {
      // Somebody has deleted the issue: the next message makes a new one.
      return told.reason === 'gone' ? { ...told, mayRepeat: !isOver, thread: null } : told
    }
    if (!isOver) return delivered(`Issue ${context.thread} told.`, told.status, context.thread)
    const end = (message: string, status: number) => ({ ...delivered(message, status, context.thread), thread: null })
    if (resolve_transition === '') return end(`Issue ${context.thread} is left to people.`, told.status)
    const listed = await ask(`${issue}/transitions`)
    if ('isDelivered' in listed) return listed
    const transitions = (listed.read.transitions ?? []) as { id: string; name: string; to?: { name?: string } }[]
    const wanted = resolve_transition.toLowerCase()
    const found = transitions.find(({ name, to }) => [name, to?.name].some((each) => each?.toLowerCase() === wanted))
    // It may stand there already, moved by a person.
    if (found === undefined)
      return end(`Issue ${context.thread} has no way to ${resolve_transition} and stays.`, listed.status)
    const moved = await ask(`${issue}/transitions`, { transition: { id: found.id } })
    return 'isDelivered' in moved ? moved : end(`Issue ${context.thread} moved: ${found.name}.`, moved.status)
  },
})

/** The open issue that an attempt whose end nobody heard has made; null where there is none, or nobody can say. */
async function findIssue(context: SendContext, url: string, authorization: string, key: string) {
  const jql = `labels = "${labelOf(key)}" AND statusCategory != Done ORDER BY created DESC`
  const query = `jql=${encodeURIComponent(jql)}&maxResults=1&fields=key`
  // The cloud has the first, servers the second.
  for (const path of ['search/jql', 'search']) {
    const base = `${url.replace(/\/$/, '')}/rest/api/2/${path}`
    const found = await askJira(context, `${base}?${query}`, authorization, undefined).catch(() => null)
    if (found === null || 'isDelivered' in found) continue
    const [issue] = (found.read.issues ?? []) as { key?: unknown }[]
    return typeof issue?.key === 'string' ? issue.key : null
  }
  return null
}

const labelOf = (key: string) => `gatehouse-${key.slice(0, 16)}`

async function askJira(
  context: SendContext,
  url: string,
  authorization: string,
  body: unknown,
): Promise<Outcome | { status: number; read: Record<string, unknown> }> {
  const answer = await post(context, url, {
    headers: { authorization, accept: 'application/json', 'content-type': 'application/json' },
    ...(body === undefined ? { method: 'GET' as const } : { body: JSON.stringify(body) }),
  })
  const fault = judgeStatus(answer, 'Jira')
  if (fault !== null) return fault
  if (answer.body.length === 0) return { status: answer.status, read: {} }
  const read = readObject(answer, 'Jira')
  return isOutcome(read) ? read : { status: answer.status, read }
}
