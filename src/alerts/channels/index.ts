import type { Channel } from './channel.ts'
import { dingtalk } from './dingtalk.ts'
import { discord } from './discord.ts'
import { email } from './email.ts'
import { feishu } from './feishu.ts'
import { gateway } from './gateway.ts'
import { jira } from './jira.ts'
import { pagerduty } from './pagerduty.ts'
import { slack } from './slack.ts'
import { teams } from './teams.ts'
import { telegram } from './telegram.ts'
import { ticket } from './ticket.ts'
import { twilioCall } from './twilio-call.ts'
import { twilioSms } from './twilio-sms.ts'
import { webhook } from './webhook.ts'
import { wecom } from './wecom.ts'

/** Every way to tell people and programs of an alert. */
export const channels: readonly Channel[] = [
  ...[dingtalk, feishu, wecom, slack, telegram, discord, teams],
  ...[email, twilioSms, twilioCall, gateway],
  ...[webhook, pagerduty, ticket, jira],
]
