import type { IncomingHttpHeaders } from 'node:http'
import { asObject } from '../protocols/json.ts'
import type { Asked } from './asked.ts'

/** Longer ones are none: cut, two sessions would be one. */
const longest = 200

/** The session a call says it belongs to, in a header; '' for none. */
export function readSessionHeader(headers: IncomingHttpHeaders): string {
  const written = headers['x-session-id'] ?? headers['x-conversation-id']
  return written === undefined ? '' : toId(written)
}

/**
 * The same in the body: `metadata.session_id`, as OpenAI's clients can send it, or the session in Anthropic's
 * `metadata.user_id`, where Claude Code writes `user_…_account_…_session_<uuid>` or a JSON object.
 */
export function readSessionMember({ body, members }: Pick<Asked, 'body' | 'members'>): string {
  if (!body.includes(metadataWord)) return ''
  // Texts of a quick reading may be spelled wrong; what is looked for here must be exact.
  const metadata = asObject(members.member('metadata')) === null ? null : asObject(members.whole().metadata)
  if (metadata === null) return ''
  const own = toId(metadata.session_id) || toId(metadata.conversation_id)
  return own === '' ? readUserId(metadata.user_id) : own
}

const metadataWord = Buffer.from('"metadata"')

function readUserId(userId: unknown): string {
  if (typeof userId !== 'string' || userId.length > 2000) return ''
  if (userId.startsWith('{')) {
    try {
      return toId(asObject(JSON.parse(userId))?.session_id)
    } catch {
      return ''
    }
  }
  const found = /(?:^|_)session_([A-Za-z0-9-]{1,200})$/.exec(userId)
  return found === null ? '' : found[1]!
}

function toId(written: unknown): string {
  if (typeof written !== 'string') return ''
  const id = written.trim()
  return id.length <= longest && !hasControls(id) ? id.toWellFormed() : ''
}

function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text)
}
