import { z } from 'zod'
import { plain } from '../writing/dialects.ts'
import { headerMap, webAddress } from '../writing/fields.ts'
import { bodyTemplate, fill, fillAddress, jsonPath, readPath, viewOf } from '../writing/filled.ts'
import { fitsBytes, shorten } from '../writing/shorten.ts'
import {
  defineChannel,
  delivered,
  failed,
  isOutcome,
  judgeStatus,
  post,
  readObject,
  type SendContext,
} from './channel.ts'

const filledAddress = z
  .string()
  .max(2000)
  .refine((text) => text === '' || webAddress.safeParse(text.replace(/\{\{[^}]*\}\}/g, 'x')).success, {
    error: 'is an http:// or https:// address, or empty',
  })
  // Where a message is sent must not depend on what an alert says.
  .refine((text) => !/\{\{/.test(/^https?:\/\/[^/]*/.exec(text)?.[0] ?? ''), { error: 'has no {{…}} in its host' })

export const ticket = defineChannel({
  type: 'ticket',
  describe: { en: 'A ticket in any system that takes JSON.', zh: '工单系统（通用 JSON 接口）。' },
  parameters: z.strictObject({
    create_url: webAddress
      .describe('POSTed to when something begins. Sealed.')
      .meta({ zh: '创建工单的地址（POST）。加密保存。' }),
    create_body: bodyTemplate
      .default({ title: '{{title}}', description: '{{text}}', severity: '{{severity}}', key: '{{key}}' })
      .describe('Its texts are templates.')
      .meta({ zh: '创建工单的请求体（文本可用模板变量）。' }),
    id_path: jsonPath
      .default('id')
      .describe("Where the answer has the ticket's id.")
      .meta({ zh: '响应中工单 ID 的路径。' }),
    update_url: filledAddress
      .default('')
      .describe('Asked for news about an open ticket, with {{ticket}} for its id; empty: news is not told.')
      .meta({ zh: '更新工单的地址，{{ticket}} 为工单 ID；留空则不更新。' }),
    update_body: bodyTemplate.default({ comment: '{{text}}' }).describe('As above.').meta({ zh: '更新工单的请求体。' }),
    resolve_url: filledAddress
      .default('')
      .describe('Asked when it is over, with {{ticket}} for its id; empty: people close it.')
      .meta({ zh: '关闭工单的地址，{{ticket}} 为工单 ID；留空则由人工关闭。' }),
    resolve_body: bodyTemplate
      .default({ status: 'resolved', comment: '{{text}}' })
      .describe('As above.')
      .meta({ zh: '关闭工单的请求体。' }),
    method: z
      .enum(['POST', 'PUT', 'PATCH'])
      .default('POST')
      .describe('For news and the end.')
      .meta({ zh: '更新与关闭所用的方法。' }),
    headers: headerMap,
  }),
  secrets: ['create_url', 'update_url', 'resolve_url', 'headers'],
  medium: 'ticket',
  endsTests: true,
  rates: [{ messages: 60, perMs: 60_000 }],
  addresses: ({ create_url, update_url, resolve_url }) =>
    [create_url, update_url, resolve_url].filter((url) => url !== '').map((url) => url.replace(/\{\{[^}]*\}\}/g, 'x')),
  write(message, parameters) {
    const { text, cut } = shorten(message.document, plain, fitsBytes(64 * 1024), message.words)
    const body = message.action === 'resolve' ? parameters.resolve_body : parameters.create_body
    return { text, body: JSON.stringify(fill(body, viewOf(message, text, { ticket: '' }))), cut }
  },
  async send(written, message, parameters, context) {
    const view = viewOf(message, written.text, { ticket: context.thread })
    const isOver = message.action === 'resolve'
    if (context.thread === '') {
      if (isOver) return { ...delivered('There is no ticket to close.', 0), thread: null }
      const answer = await ask(context, parameters.create_url, 'POST', fill(parameters.create_body, view), {
        'idempotency-key': message.id,
        ...parameters.headers,
      })
      if ('isDelivered' in answer) return answer
      const id = readPath(answer.read, parameters.id_path)
      if (typeof id !== 'string' && typeof id !== 'number') {
        const told = `The ticket system answered ${answer.status} without an id at ${parameters.id_path}`
        return failed('answer', told, { status: answer.status, isFinal: true })
      }
      return {
        ...delivered(`Ticket ${String(id).slice(0, 80)}.`, answer.status, String(id).slice(0, 80)),
        thread: String(id),
      }
    }
    const address = isOver ? parameters.resolve_url : parameters.update_url
    if (address === '') {
      const told = `The ticket ${context.thread} is left as it is: no address for that is set.`
      return { ...delivered(told, 0), ...(isOver ? { thread: null } : {}) }
    }
    const body = fill(isOver ? parameters.resolve_body : parameters.update_body, view)
    const answer = await ask(context, fillAddress(address, view), parameters.method, body, parameters.headers)
    if ('isDelivered' in answer) return answer
    const told = `Ticket ${context.thread} ${isOver ? 'closed' : 'told'}.`
    return { ...delivered(told, answer.status, context.thread.slice(0, 80)), ...(isOver ? { thread: null } : {}) }
  },
})

async function ask(
  context: SendContext,
  url: string,
  method: 'POST' | 'PUT' | 'PATCH',
  body: unknown,
  headers: Record<string, string>,
) {
  const answer = await post(context, url, {
    ...{ method, body: JSON.stringify(body) },
    headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
  })
  const fault = judgeStatus(answer, 'The ticket system')
  if (fault !== null) return fault
  if (answer.body.length === 0) return { status: answer.status, read: {} }
  const read = readObject(answer, 'The ticket system')
  return isOutcome(read) ? read : { status: answer.status, read }
}
