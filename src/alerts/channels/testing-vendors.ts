import { createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a vendor got, and what it thinks of it: '' where it is as its documentation asks. */
export type Recorded = {
  vendor: string
  method: string
  path: string
  headers: IncomingMessage['headers']
  body: string
  fault: string
}

type Checked = { fault: string; answer: { status: number; body: string; type?: string } }
type Request = Omit<Recorded, 'fault'> & { query: URLSearchParams }
type Vendor = (request: Request) => Checked

const json = (status: number, body: unknown) => ({ status, body: JSON.stringify(body) })
const bytes = (text: string) => Buffer.byteLength(text)

// biome-ignore lint/suspicious/noExplicitAny: what comes is looked into freely, and may be anything
type Body = Record<string, any>

function parse(body: string): Body | null {
  try {
    return JSON.parse(body)
  } catch {
    return null
  }
}

/** Each checks independently of how we write: by the vendor's own words. */
export const vendors: Readonly<Record<string, Vendor>> = {
  dingtalk({ query, body }) {
    const timestamp = query.get('timestamp') ?? ''
    const sign = createHmac('sha256', 'SECdingtalk').update(`${timestamp}\nSECdingtalk`).digest('base64')
    const read = parse(body)
    if (sign !== query.get('sign'))
      return { fault: 'signature', answer: json(200, { errcode: 310000, errmsg: 'sign not match' }) }
    if (bytes(body) > 20_000)
      return { fault: 'size', answer: json(200, { errcode: 460101, errmsg: 'message too long' }) }
    const { msgtype, markdown, at } = read ?? {}
    const isWhole = msgtype === 'markdown' && typeof markdown?.title === 'string' && typeof markdown?.text === 'string'
    if (!isWhole) return { fault: 'format', answer: json(200, { errcode: 40035, errmsg: 'bad json' }) }
    const uncalled = at.atMobiles.find((mobile: string) => !markdown.text.includes(`@${mobile}`))
    return {
      fault: uncalled === undefined ? '' : `${uncalled} does not stand in the text`,
      answer: json(200, { errcode: 0, errmsg: 'ok' }),
    }
  },
  feishu({ body }) {
    const { timestamp, sign, msg_type, card } = parse(body) ?? {}
    const expected = createHmac('sha256', `${timestamp}\nfeishu-secret`).update('').digest('base64')
    if (sign !== expected)
      return {
        fault: 'signature',
        answer: json(400, { code: 19021, msg: 'sign match fail or timestamp is not within one hour' }),
      }
    if (bytes(body) > 20 * 1024) return { fault: 'size', answer: json(400, { code: 11254, msg: 'too large' }) }
    const isWhole =
      msg_type === 'interactive' && card.header.title.tag === 'plain_text' && card.elements[0].tag === 'markdown'
    return { fault: isWhole ? '' : 'format', answer: json(200, { code: 0, msg: 'success', data: {} }) }
  },
  wecom({ body, query }) {
    const read = parse(body) ?? {}
    if (query.get('key') !== 'wecom-key')
      return { fault: 'key', answer: json(200, { errcode: 93000, errmsg: 'invalid webhook url' }) }
    const content = read.markdown?.content ?? read.text?.content ?? ''
    const most = read.msgtype === 'markdown' ? 4096 : 2048
    if (bytes(content) > most)
      return { fault: 'size', answer: json(200, { errcode: 40058, errmsg: 'content exceed max length' }) }
    return { fault: content === '' ? 'format' : '', answer: json(200, { errcode: 0, errmsg: 'ok' }) }
  },
  slack({ body }) {
    const read = parse(body)
    const section = read?.attachments?.[0]?.blocks?.[0]?.text
    if (section?.type !== 'mrkdwn') return { fault: 'format', answer: { status: 400, body: 'invalid_payload' } }
    if (section.text.length > 3000) return { fault: 'size', answer: { status: 400, body: 'invalid_blocks' } }
    const raw = section.text.replace(/<(https?:[^|>]+\|[^>]*|!channel|@[UW]\w+|!subteam\^S\w+)>/g, '')
    return {
      fault: /[<>]/.test(raw) ? 'an unescaped bracket' : '',
      answer: { status: 200, body: 'ok', type: 'text/html' },
    }
  },
  telegram({ path, body }) {
    const read = parse(body) ?? {}
    if (!path.startsWith('/bot123456:AAAAAAAAAAAAAAAAAAAAAAAAA/sendMessage'))
      return { fault: 'token', answer: json(401, { ok: false, error_code: 401, description: 'Unauthorized' }) }
    if (read.text.length > 4096)
      return { fault: 'size', answer: json(400, { ok: false, error_code: 400, description: 'message is too long' }) }
    const open: string[] = []
    for (const [, end, tag] of read.text.matchAll(/<(\/?)(b|code|a)\b[^>]*>/g)) {
      if (end === '') open.push(tag)
      else if (open.pop() !== tag)
        return {
          fault: 'entities',
          answer: json(400, { ok: false, error_code: 400, description: "can't parse entities" }),
        }
    }
    const rest = read.text.replace(/<\/?(b|code|a)\b[^>]*>/g, '')
    if (open.length > 0 || /[<>]/.test(rest))
      return {
        fault: 'entities',
        answer: json(400, { ok: false, error_code: 400, description: "can't parse entities" }),
      }
    return {
      fault: read.parse_mode === 'HTML' ? '' : 'format',
      answer: json(200, { ok: true, result: { message_id: 1 } }),
    }
  },
  discord({ body, query }) {
    const read = parse(body) ?? {}
    const [embed] = read.embeds ?? []
    if (embed === undefined || embed.title.length > 256 || embed.description.length > 4096)
      return { fault: 'size', answer: json(400, { code: 50035, message: 'Invalid Form Body' }) }
    const isCalm = Array.isArray(read.allowed_mentions?.parse)
    return { fault: isCalm && query.get('wait') === 'true' ? '' : 'mentions', answer: json(200, { id: '1234567890' }) }
  },
  teams({ body }) {
    if (bytes(body) > 28 * 1024) return { fault: 'size', answer: { status: 413, body: '' } }
    const [attachment] = parse(body)?.attachments ?? []
    const isCard =
      attachment?.contentType === 'application/vnd.microsoft.card.adaptive' &&
      attachment.content.type === 'AdaptiveCard'
    return { fault: isCard ? '' : 'format', answer: { status: 202, body: '' } }
  },
  webhook({ body, headers }) {
    const at = headers['x-hub-timestamp']
    const expected = `v1=${createHmac('sha256', 'webhook-secret').update(`${at}.${body}`).digest('hex')}`
    if (headers['x-hub-signature'] !== expected) return { fault: 'signature', answer: json(401, {}) }
    const read = parse(body) ?? {}
    const known = [
      'version',
      'groupKey',
      'truncatedAlerts',
      'status',
      'receiver',
      'groupLabels',
      'commonLabels',
      'commonAnnotations',
      'externalURL',
      'alerts',
    ]
    const missing = known.filter((name) => !(name in read))
    const isWhole =
      read.version === '4' &&
      read.alerts.every((each: Body) => /^\d{4}-\d\d-\d\dT/.test(each.endsAt) && each.fingerprint !== '')
    return {
      fault: missing.length === 0 && isWhole ? '' : `format ${missing.join()}`,
      answer: { status: 200, body: '' },
    }
  },
  pagerduty({ body, path }) {
    const { routing_key, event_action, dedup_key, payload } = parse(body) ?? {}
    if (path !== '/v2/enqueue' || !/^[0-9a-f]{32}$/i.test(routing_key ?? ''))
      return { fault: 'key', answer: json(400, { status: 'invalid event' }) }
    if (bytes(body) > 512 * 1024) return { fault: 'size', answer: json(400, { status: 'invalid event' }) }
    const isWhole =
      dedup_key.length <= 255 &&
      (event_action !== 'trigger' ||
        (payload.summary.length <= 1024 && ['critical', 'error', 'warning', 'info'].includes(payload.severity)))
    return {
      fault: isWhole ? '' : 'format',
      answer: json(202, { status: 'success', message: 'Event processed', dedup_key }),
    }
  },
  twilio_sms({ body, headers, path }) {
    const form = new URLSearchParams(body)
    const basic = `Basic ${Buffer.from(`AC${'0'.repeat(32)}:twilio-token`).toString('base64')}`
    if (headers.authorization !== basic)
      return { fault: 'credentials', answer: json(401, { code: 20003, message: 'Authenticate' }) }
    if (!path.endsWith(`/Accounts/AC${'0'.repeat(32)}/Messages.json`))
      return { fault: 'path', answer: json(404, { code: 20404 }) }
    if (form.get('To') === '+15005550001')
      return { fault: '', answer: json(400, { code: 21211, message: 'Invalid To' }) }
    const text = form.get('Body') ?? ''
    if (text === '' || text.length > 1600)
      return { fault: 'size', answer: json(400, { code: 21617, message: 'too long' }) }
    return { fault: '', answer: json(201, { sid: `SM${'1'.repeat(32)}`, status: 'queued', error_code: null }) }
  },
  twilio_call({ body, headers, path }) {
    const form = new URLSearchParams(body)
    const basic = `Basic ${Buffer.from(`AC${'0'.repeat(32)}:twilio-token`).toString('base64')}`
    if (headers.authorization !== basic)
      return { fault: 'credentials', answer: json(401, { code: 20003, message: 'Authenticate' }) }
    const twiml = form.get('Twiml') ?? ''
    const isSpoken = /^<Response>(<Say language="[\w-]+">[^<>]*<\/Say><Pause length="1"\/>)+<\/Response>$/.test(twiml)
    if (!path.endsWith('/Calls.json') || !isSpoken || twiml.length > 4000)
      return { fault: 'twiml', answer: json(400, { code: 12100 }) }
    return { fault: '', answer: json(201, { sid: `CA${'1'.repeat(32)}`, status: 'queued' }) }
  },
  gateway({ body, headers }) {
    const read = parse(body)
    const isWhole =
      headers['x-api-key'] === 'gateway-key' && /^\+?\d+$/.test(read?.phone ?? '') && read?.params?.content !== ''
    return {
      fault: isWhole ? '' : 'format',
      answer: json(200, isWhole ? { code: '0', msg: 'OK' } : { code: '1001', msg: 'bad' }),
    }
  },
  ticket({ body, method, path, headers }) {
    const read = parse(body)
    if (headers['x-token'] !== 'ticket-token' || read === null) return { fault: 'format', answer: json(401, {}) }
    if (path === '/ticket/tickets' && method === 'POST')
      return { fault: read.title === '' ? 'format' : '', answer: json(201, { data: { id: 4711 } }) }
    return { fault: path.startsWith('/ticket/tickets/4711') ? '' : 'path', answer: json(200, {}) }
  },
  jira({ body, method, path, headers }) {
    const basic = `Basic ${Buffer.from('ops@example.com:jira-token').toString('base64')}`
    if (headers.authorization !== basic) return { fault: 'credentials', answer: json(401, {}) }
    const read = parse(body)
    const issue = '/jira/rest/api/2/issue'
    if (path === issue) {
      const { project, summary, description, issuetype } = read?.fields ?? {}
      const isWhole =
        project?.key === 'OPS' &&
        issuetype?.name === 'Task' &&
        summary.length <= 255 &&
        !summary.includes('\n') &&
        description.length <= 32_767
      return {
        fault: isWhole ? '' : 'format',
        answer: json(isWhole ? 201 : 400, isWhole ? { id: '1', key: 'OPS-7' } : { errors: {} }),
      }
    }
    if (path === `${issue}/OPS-7/comment`) return { fault: '', answer: json(201, { id: '5' }) }
    if (path === `${issue}/OPS-7/transitions` && method === 'GET')
      return { fault: '', answer: json(200, { transitions: [{ id: '31', name: 'Close', to: { name: 'Done' } }] }) }
    if (path === `${issue}/OPS-7/transitions`)
      return { fault: read?.transition?.id === '31' ? '' : 'format', answer: { status: 204, body: '' } }
    return { fault: `path ${path}`, answer: json(404, {}) }
  },
}

export type VendorServer = {
  url: string
  received: Recorded[]
  /** Answers instead of the vendor's own, in order; `hold` answers when the test says so, `reset` cuts the connection. */
  next: ((request: IncomingMessage, response: ServerResponse) => void)[]
  close(): Promise<void>
}

/** Vendors over real HTTP: what comes is recorded and checked, and answered as each of them answers. */
export async function startVendors(): Promise<VendorServer> {
  const received: Recorded[] = []
  const next: VendorServer['next'] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const url = new URL(request.url!, 'http://vendor')
      const [, first = ''] = url.pathname.split('/')
      const vendor = first.startsWith('bot')
        ? 'telegram'
        : first === 'v2'
          ? 'pagerduty'
          : first === '2010-04-01'
            ? url.pathname.endsWith('Calls.json')
              ? 'twilio_call'
              : 'twilio_sms'
            : first
      const common = {
        vendor,
        method: request.method!,
        path: url.pathname,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      }
      const instead = next.shift()
      if (instead !== undefined) {
        received.push({ ...common, fault: 'answered otherwise' })
        return instead(request, response)
      }
      const checked = vendors[vendor]?.({ ...common, query: url.searchParams })
      received.push({ ...common, fault: checked === undefined ? 'no such vendor' : checked.fault })
      const { status, body, type = 'application/json' } = checked?.answer ?? { status: 404, body: '' }
      response.writeHead(status, { 'content-type': type }).end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ received, next },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** Parameters of each kind of channel for these vendors; mail has a server of its own. */
export function parametersFor(type: string, url: string): Record<string, unknown> {
  const twilio = {
    account_sid: `AC${'0'.repeat(32)}`,
    auth_token: 'twilio-token',
    to: ['+8613800000000'],
    from: '+15005550006',
    api_url: url,
  }
  const all: Record<string, Record<string, unknown>> = {
    dingtalk: {
      url: `${url}/dingtalk/robot/send?access_token=dingtalk-token`,
      secret: 'SECdingtalk',
      mobiles: ['13800000000'],
    },
    feishu: { url: `${url}/feishu/hook`, secret: 'feishu-secret', open_ids: ['ou_1'] },
    wecom: { url: `${url}/wecom/send?key=wecom-key`, user_ids: ['ana'] },
    slack: { url: `${url}/slack/services/T0/B0/slack-hook`, members: ['U012AB3CD'] },
    telegram: { bot_token: '123456:AAAAAAAAAAAAAAAAAAAAAAAAA', chat_id: '-1001', api_url: url },
    discord: { url: `${url}/discord/hook`, users: ['123456789012345678'] },
    teams: { url: `${url}/teams/workflow`, people: [{ id: 'ana@example.com', name: 'Ana' }] },
    webhook: { url: `${url}/webhook`, secret: 'webhook-secret' },
    pagerduty: { routing_key: '0123456789abcdef0123456789abcdef', api_url: url },
    twilio_sms: twilio,
    twilio_call: { ...twilio, call_on_resolved: true },
    gateway: {
      ...{ medium: 'sms', url: `${url}/gateway`, headers: { 'x-api-key': 'gateway-key' }, to: ['13800000000'] },
      ...{ body: { phone: '{{to}}', params: { content: '{{text}}' } }, success_path: 'code' },
    },
    ticket: {
      ...{ create_url: `${url}/ticket/tickets`, id_path: 'data.id', headers: { 'x-token': 'ticket-token' } },
      ...{
        update_url: `${url}/ticket/tickets/{{ticket}}/comments`,
        resolve_url: `${url}/ticket/tickets/{{ticket}}/close`,
      },
    },
    jira: { url: `${url}/jira`, user: 'ops@example.com', token: 'jira-token', project: 'OPS' },
    email: { to: ['ana@example.com'] },
  }
  const found = all[type]
  if (found === undefined) throw new Error(`add parameters for ${type}: its vendor has to be told from the others`)
  return found
}
