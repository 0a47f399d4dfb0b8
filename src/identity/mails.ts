import type { Mail, Mailer } from '../platform/mail.ts'
import type { Language } from './store.ts'

export type Mails = {
  /** Whether the hub can write to anybody. */
  isOn: boolean
  /** The page of the console that takes `token`; relative when the hub does not know its own address. */
  link(page: 'invitation' | 'reset', token: string): string
  /** Waits for the mail server; rejects when it did not take the mail. */
  sendInvitation(to: string, language: Language, given: { link: string; tenant: string; hours: number }): Promise<void>
  postReset(to: string, language: Language, given: { link: string; minutes: number }): void
  postPasswordChanged(to: string, language: Language): void
}

type Words = Record<Language, { subject: string; text: string }>

/** The letters the hub writes, in the language of who reads them. What a person typed never stands in a subject. */
export function createMails(own: { mailer: Mailer; publicUrl: string }): Mails {
  const { mailer, publicUrl } = own
  const toMail = (to: string, language: Language, words: Words): Mail => ({ to, ...words[language] })

  return {
    isOn: mailer.isConfigured,
    // Behind the #, so that no proxy and no log ever sees the token.
    link: (page, token) => `${publicUrl.replace(/\/$/, '')}/login/${page}#token=${token}`,

    sendInvitation: async (to, language, { link, tenant, hours }) =>
      void (await mailer.send(
        toMail(to, language, {
          en: {
            subject: 'You are invited to Gatehouse',
            text: `You are invited to the tenant “${tenant}” of Gatehouse.\n\nChoose your password here, within ${hours} hours:\n${link}\n\nIf you did not expect this, ignore it.\n`,
          },
          zh: {
            subject: '邀请您加入 Gatehouse',
            text: `您已受邀加入 Gatehouse 的租户“${tenant}”。\n\n请在 ${hours} 小时内打开以下链接设置密码：\n${link}\n\n若您并不知情，请忽略本邮件。\n`,
          },
        }),
      )),

    postReset: (to, language, { link, minutes }) =>
      mailer.post(
        toMail(to, language, {
          en: {
            subject: 'Your Gatehouse password',
            text: `Somebody, hopefully you, asked for a new password.\n\nChoose it here, within ${minutes} minutes:\n${link}\n\nIf it was not you, ignore this: your password stays as it is.\n`,
          },
          zh: {
            subject: '重置您的 Gatehouse 密码',
            text: `有人（希望是您本人）请求重置密码。\n\n请在 ${minutes} 分钟内打开以下链接设置新密码：\n${link}\n\n若非本人操作，请忽略本邮件，您的密码不会改变。\n`,
          },
        }),
      ),

    postPasswordChanged: (to, language) =>
      mailer.post(
        toMail(to, language, {
          en: {
            subject: 'Your Gatehouse password was changed',
            text: 'Your password was changed and your other sessions were ended.\n\nIf it was not you, tell an administrator at once.\n',
          },
          zh: {
            subject: '您的 Gatehouse 密码已更改',
            text: '您的密码已更改，其他会话均已结束。\n\n若非本人操作，请立即联系管理员。\n',
          },
        }),
      ),
  }
}
