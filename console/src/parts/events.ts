export type SentEvent = { name: string; data: string }

/** The events of a stream (HTML standard, 9.2). EventSource itself cannot say who asks. */
export async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<SentEvent> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    rest += value
    const events = rest.split(/\r?\n\r?\n/)
    rest = events.pop()!
    for (const event of events) {
      const lines = event.split(/\r?\n/)
      const data = valuesOf(lines, 'data')
      if (data.length > 0) yield { name: valuesOf(lines, 'event').at(-1) ?? 'message', data: data.join('\n') }
    }
  }
}

const valuesOf = (lines: readonly string[], field: string) =>
  lines.filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).replace(/^ /, ''))
