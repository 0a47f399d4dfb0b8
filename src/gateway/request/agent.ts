import type { IncomingHttpHeaders } from 'node:http'
import { asObject } from '../protocols/json.ts'
import type { Members } from '../providers/index.ts'

const headerNames = ['x-gatehouse-agent', 'x-agent-id'] as const
const memberNames = ['agent', 'agent_name', 'agent_id'] as const

/** The agent on whose behalf a caller says it calls, in a header; '' when it says nothing. Never an error. */
export function readAgentHeader(headers: IncomingHttpHeaders): string {
  for (const name of headerNames) {
    const value = headers[name]
    if (typeof value === 'string' && value !== '') return tidy(fromLatin1(value))
  }
  return ''
}

/** The same in the body's `metadata`, of which nobody else here reads a name; '' when it is not there. */
export function readAgentMember({ member, whole }: Pick<Members, 'member' | 'whole'>): string {
  const name = nameIn(member('metadata'))
  // A small body is read as Latin-1: what is not ASCII is to be read again, unless it cannot have come from there.
  const isPlain = !hasLatin1(name) || hasWide(name)
  return tidy(isPlain ? name : nameIn(whole().metadata))
}

function nameIn(metadata: unknown): string {
  const wire = asObject(metadata)
  if (wire === null) return ''
  for (const name of memberNames) {
    const value = wire[name]
    if (typeof value === 'string' && value !== '') return value
  }
  return ''
}

/** Headers come as Latin-1; who sends more than ASCII means UTF-8 today. */
function fromLatin1(value: string): string {
  if (!hasLatin1(value)) return value
  const text = Buffer.from(value, 'latin1').toString('utf8')
  return text.includes('\uFFFD') ? value : text
}

function tidy(name: string): string {
  return name === ''
    ? ''
    : name
        .slice(0, 100)
        .replace(/[\x00-\x1f\x7f]/g, ' ')
        .trim()
}

function hasLatin1(text: string): boolean {
  return /[\x80-\xff]/.test(text)
}

function hasWide(text: string): boolean {
  return /[^\x00-\xff]/.test(text)
}
