import { z } from 'zod'
import { phoneNumber, webAddress } from '../../writing/fields.ts'
import { failed, isOutcome, judgeStatus, type Outcome, post, readObject, type SendContext } from '../channel.ts'

/** An account of Twilio, and who is reached through it. */
export const accountShape = {
  account_sid: z
    .string()
    .regex(/^AC[0-9a-f]{32}$/i, 'begins with AC')
    .describe('The account.')
    .meta({ zh: '账户 SID。' }),
  auth_token: z.string().min(1).max(200).describe('Sealed, never shown.').meta({ zh: '令牌。加密保存，不再显示。' }),
  to: z.array(phoneNumber).min(1).max(20).describe('Who is reached.').meta({ zh: '接收号码。' }),
  api_url: webAddress
    .default('https://api.twilio.com')
    .describe("Twilio's API, or that of one of its regions.")
    .meta({ zh: 'Twilio API 地址（可填区域地址）。' }),
}

type Account = { account_sid: string; auth_token: string; to: readonly string[]; api_url: string }

// https://www.twilio.com/docs/api/errors: numbers that cannot be reached, accounts that may not.
const finalCodes = /^(20003|20005|20404|212\d\d|213\d\d|216\d\d|13224|13225)$/

/**
 * Asks Twilio for a message or call to each number that has none yet. Of several, those it took are told in `reached`, so
 * that nobody's phone rings twice because another's did not.
 */
export async function askEach(
  what: 'Messages' | 'Calls',
  { account_sid, auth_token, to, api_url }: Account,
  fields: Readonly<Record<string, string>>,
  context: SendContext,
): Promise<Outcome> {
  const url = `${api_url.replace(/\/$/, '')}/2010-04-01/Accounts/${account_sid}/${what}.json`
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    authorization: `Basic ${Buffer.from(`${account_sid}:${auth_token}`).toString('base64')}`,
  }
  const reached: string[] = []
  let last: Outcome | null = null
  let fault: Outcome | null = null
  for (const number of to) {
    if (context.reached.has(number)) continue
    const body = new URLSearchParams({ To: number, ...fields }).toString()
    last = await askOnce(context, url, { body, headers })
    if (last.isDelivered) {
      reached.push(number)
      await context.reach(number)
    }
    // What may be repeated is the reason told: the others are lost anyway.
    else if (fault === null || (last.mayRepeat && !fault.mayRepeat)) fault = last
  }
  if (fault !== null) return { ...fault, reached }
  const told = last ?? { isDelivered: true, mayRepeat: false, reason: '', message: '', status: 0, code: '' }
  return { ...told, message: `Twilio took it for ${reached.length}.`, reached }
}

async function askOnce(
  context: SendContext,
  url: string,
  options: { body: string; headers: Record<string, string> },
): Promise<Outcome> {
  const answer = await post(context, url, options)
  const read = readObject(answer, 'Twilio')
  const code = isOutcome(read) ? '' : String(read.code ?? read.error_code ?? '')
  const fault = judgeStatus(answer, 'Twilio')
  if (fault !== null) return finalCodes.test(code) ? { ...fault, code, mayRepeat: false } : { ...fault, code }
  if (isOutcome(read)) return read
  const { status } = answer
  if (code !== '' && code !== 'null') {
    const told = `Twilio refused it: ${code} ${String(read.error_message ?? read.message ?? '').slice(0, 200)}`
    return failed('refused', told, { status, code, isFinal: finalCodes.test(code) })
  }
  if (typeof read.sid !== 'string' || read.status === 'failed' || read.status === 'undelivered') {
    return failed('answer', `Twilio answered ${status} without having taken it`, { status })
  }
  return { isDelivered: true, mayRepeat: false, reason: '', message: 'Twilio took it.', status, code: read.sid }
}
