const replyTag: unique symbol = Symbol('gatehouse.reply')

/** What a handler returns to set the status or headers of its answer itself. */
export type Reply = {
  readonly [replyTag]: true
  status: number
  body: unknown
  headers: Readonly<Record<string, string>>
}

/**
 * An answer with this status and these headers (lower-case names). A string, Buffer or stream is sent as it is; anything
 * else as JSON in the shape of the route's `reply`.
 */
export function reply(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
  return { [replyTag]: true, status, body, headers }
}

export function isReply(value: unknown): value is Reply {
  return typeof value === 'object' && value !== null && replyTag in value
}
