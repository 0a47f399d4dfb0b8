/** What a fake provider is told to do with one call, as data. Everything left out behaves as the real vendor would. */
export type Behaviour = {
  answer?: Answer
  /** Fails instead of answering, or, with `afterChunks`, in the middle of a stream. */
  error?: VendorError
  /** Sends these bytes as the whole body, whatever was asked. Combine with `status` and `headers`. */
  body?: string | Uint8Array
  /** Status of an answer or of `body`; an `error` brings its own. */
  status?: number
  /** Added to the vendor's usual headers; a null takes one away. */
  headers?: Record<string, string | string[] | null>
  headerNames?: 'lower'
  /** Waits before the first byte of the head. */
  headDelayMs?: number
  /** Waits before every chunk of the body. */
  chunkDelayMs?: number
  /** Stops there until the test calls `release()` on the recorded request: for ever if it never does. */
  holdAt?: Point
  cut?: Cut
  framing?: Framing
  encoding?: 'gzip' | 'br' | 'deflate'
  /** Sends a Content-Length that lies by a few bytes. */
  contentLength?: 'too-short' | 'too-long'
}

/** 'head' is before the status line; a number is after so many chunks of the body, so 0 is right after the head. */
export type Point = 'head' | number

/**
 * `reset` sends TCP RST; `close` closes the socket without ending the body; `eof` ends the body as if all were said,
 * which for a stream means that its terminal event never comes.
 */
export type Cut = { at: Point; how: 'reset' | 'close' | 'eof' }

export type Answer = {
  text?: string
  /** Answers with the text of the last user message. */
  echo?: boolean
  /** Code points of text a streamed piece, 12 unless said. */
  pieceLength?: number
  reasoning?: string
  /** Anthropic: a thinking block whose text the vendor keeps to itself. */
  redactedReasoning?: string
  refusal?: string
  toolCalls?: ToolCall[]
  /** Streams the pieces of parallel tool calls alternately, where the vendor's protocol allows it. */
  areToolCallsInterleaved?: boolean
  /** In OpenAI's words, translated to the vendor's; any other word is sent as it stands. */
  finish?: string
  stopSequence?: string
  /** Gemini: the prompt was refused and there is no candidate at all. */
  promptBlockReason?: string
  /** null leaves usage out, as interrupted or careless upstreams do. */
  usage?: Partial<Usage> | null
  /** The model named in the answer; the one asked for unless said. */
  model?: string
}

export type ToolCall = {
  name: string
  arguments: Record<string, unknown>
  /** Sent in place of the JSON of `arguments`. */
  rawArguments?: string
  id?: string
  /** Pieces its arguments are streamed in, 3 unless said. */
  pieces?: number
}

/** As the hub counts: `tokensIn` includes cached tokens, `tokensOut` includes reasoning. */
export type Usage = {
  tokensIn: number
  tokensOut: number
  tokensCachedRead: number
  tokensCachedWrite: number
  tokensReasoning: number
}

export type VendorError = {
  status: number
  /** `{key}` becomes the credential that was received and `{url}` the fake's own address. */
  message?: string
  type?: string
  code?: string | null
  param?: string | null
  retryAfter?: RetryAfter
  /** Sends the error as an event of a stream that began with 200. */
  afterChunks?: number
  /** Status line that contradicts the body, such as 200. */
  httpStatus?: number
}

/** How long to wait, in each of the forms vendors use. */
export type RetryAfter = {
  ms: number
  form: 'seconds' | 'http-date' | 'retry-after-ms' | 'x-ms-retry-after-ms' | 'x-ratelimit-reset' | 'retry-info'
}

/** The freedoms of the event stream format (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export type Framing = {
  newline?: '\n' | '\r\n' | '\r'
  spaceAfterColon?: boolean
  /** A comment line before every event. */
  comments?: boolean
  byteOrderMark?: boolean
  /** Leaves the last event without its blank line. */
  lacksFinalBlankLine?: boolean
  /** Writes the JSON over several `data:` lines. */
  multilineData?: boolean
  /** Leaves out the terminal event: `[DONE]`, `message_stop`, or Gemini's chunk with a finish reason. */
  lacksTerminator?: boolean
  /** How the bytes are cut into writes: one an event (unless said), all at once, or so many bytes each. */
  writes?: 'event' | 'whole' | number
}

export const defaultUsage: Usage = {
  tokensIn: 21,
  tokensOut: 9,
  tokensCachedRead: 0,
  tokensCachedWrite: 0,
  tokensReasoning: 0,
}

export const defaultText = 'Hello from the fake provider: 你好, caf\u00e9 \u{1f44b}.'

/** Named misbehaviours that need more than one field. */
export const misbehaviours = {
  html: {
    status: 502,
    body: '<!doctype html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>',
    headers: { 'content-type': 'text/html' },
  },
  emptyBody: { body: '' },
  invalidJson: { body: '{"id": "cut' },
  notJson: { body: 'upstream connect error', headers: { 'content-type': 'text/plain' } },
  redirect: { status: 307, body: '', headers: { location: 'http://169.254.169.254/latest/meta-data/' } },
  echoesKey: { error: { status: 401, message: 'Incorrect API key provided: {key}. Asked at {url}.' } },
} satisfies Record<string, Behaviour>
