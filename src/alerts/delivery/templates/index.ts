import { createHash } from 'node:crypto'
import type { Notification } from '../../alert.ts'
import type { Message } from '../../channels/channel.ts'
import { alertBegin, alertEnd, type Document, escapeMarks, readMarks } from '../../writing/document.ts'
import { compileTemplate, TemplateError } from '../../writing/template.ts'
import { english } from './en.ts'
import { viewNames, viewNotification, worstOf } from './view.ts'
import type { Words } from './words.ts'
import { chinese } from './zh.ts'

export type Wording = {
  language: 'en' | 'zh'
  zone: string
  /** '' for the built-in ones. */
  titleTemplate: string
  bodyTemplate: string
}

export type Worded = {
  message: Message
  /** Why the channel's own template was not used; '' where all is well. */
  templateError: string
}

export const languages: Readonly<Record<'en' | 'zh', Words>> = { en: english, zh: chinese }

const longestTitle = 200

/** `invalid_request` material: throws TemplateError for what cannot be a template. */
export function checkTemplate(text: string): void {
  compileTemplate(text, viewNames)
}

/**
 * Words a notification for a channel. A template of a person's own that fails costs nobody the alert: the built-in text is
 * sent in its place, and says so.
 */
export function word(
  notification: Notification,
  wording: Wording,
  { url, key, action }: { url: string; key?: string; action?: Message['action'] },
): Worded {
  const words = languages[wording.language]
  const severity = worstOf(notification.alerts)
  const view = viewNotification(notification, { words, severity, url, zone: wording.zone })
  let templateError = ''
  function attempt<T>(own: string, builtIn: string, render: (template: string) => T): T {
    if (own === '') return render(builtIn)
    try {
      return render(own)
    } catch (error) {
      templateError = error instanceof TemplateError ? error.message : 'it cannot be rendered'
      return render(builtIn)
    }
  }
  const document = attempt(wording.bodyTemplate, words.body, (template): Document => {
    // The signs say which lines are whose, so that cutting can take whole alerts.
    const text = compileTemplate(template, viewNames).render(view, {
      escape: escapeMarks,
      begin: (list, index) => (list === 'alerts' ? alertBegin(index) : ''),
      end: (list) => (list === 'alerts' ? alertEnd : ''),
    })
    const lines = readMarks(text)
    if (lines.length === 0) throw new TemplateError('comes to nothing')
    return lines
  })
  const title = attempt(wording.titleTemplate, words.title, (template) => {
    const text = compileTemplate(template, viewNames)
      .render(view, { escape: (value) => value })
      .replace(/\s+/g, ' ')
      .trim()
    if (text === '') throw new TemplateError('comes to nothing')
    return text.length > longestTitle ? `${text.slice(0, longestTitle - 1)}…` : text
  })
  const told = templateError === '' ? [] : [notice(words.templateFailed(templateError))]
  return {
    templateError,
    message: {
      id: notification.id,
      action: action ?? (notification.status === 'resolved' ? 'resolve' : 'trigger'),
      ...{ severity, language: wording.language, title, url },
      words: { more: words.more, shortened: words.shortened, rest: view.more },
      // What was said of a template of people's own: the trace has to be found all the same.
      document: [...told, ...withTrace(document, notification.traceId)],
      key: key ?? createHash('sha256').update(`${notification.receiver}\n${notification.groupKey}`).digest('hex'),
      traceId: notification.traceId,
      at: notification.at,
      notification,
    },
  }
}

function withTrace(document: Document, traceId: string): Document {
  const isTold = document.some(({ spans }) => spans.some(({ text }) => text.includes(traceId)))
  return isTold ? document : [...document, notice(traceId)]
}

function notice(text: string) {
  return { kind: 'text', alert: -1, spans: [{ text }] } as const
}
