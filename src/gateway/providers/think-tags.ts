import type { ChatAssistantPart, ChatEvent, ChatResult } from '../chat.ts'
import type { StreamReader } from '../protocols/protocol.ts'

/**
 * Reasoning that a server writes into its text between `<think>` and `</think>`, as DeepSeek's first open models taught
 * many to do, becomes reasoning of the middle form. Only at the very start of an answer: later, it is text about tags.
 */
export type ThinkSplitter = {
  push(text: string): Piece[]
  /** What was held back, because it might have become a tag. */
  close(): Piece[]
}

type Piece = { kind: 'text' | 'reasoning'; text: string }

const opening = '<think>'
const closing = '</think>'

export function createThinkSplitter(): ThinkSplitter {
  let state: 'start' | 'thinking' | 'after' | 'text' = 'start'
  let held = ''

  /** null: there is nothing to do before more comes. A piece without text: the state is another one, look again. */
  const step = (): Piece | null => {
    switch (state) {
      case 'start': {
        const seen = held.trimStart()
        if (seen.length < opening.length && opening.startsWith(seen)) return null
        state = seen.startsWith(opening) ? 'thinking' : 'text'
        if (state === 'thinking') held = seen.slice(opening.length)
        return { kind: 'text', text: '' }
      }
      case 'thinking': {
        const end = held.indexOf(closing)
        const text = end === -1 ? held.slice(0, held.length - heldBack(held)) : held.slice(0, end)
        held = end === -1 ? held.slice(text.length) : held.slice(end + closing.length)
        if (end !== -1) state = 'after'
        return end === -1 && text === '' ? null : { kind: 'reasoning', text }
      }
      case 'after':
        // The blank lines between belong to the tags.
        held = held.trimStart()
        if (held !== '') state = 'text'
        return held === '' ? null : { kind: 'text', text: '' }
      case 'text': {
        const text = held
        held = ''
        return text === '' ? null : { kind: 'text', text }
      }
    }
  }
  const steps = (): Piece[] => {
    const pieces: Piece[] = []
    for (let piece = step(); piece !== null; piece = step()) if (piece.text !== '') pieces.push(piece)
    return pieces
  }

  return {
    push(text) {
      held += text
      return steps()
    },
    close() {
      const rest = held
      held = ''
      if (rest === '' || state === 'after') return []
      return [{ kind: state === 'thinking' ? 'reasoning' : 'text', text: rest }]
    },
  }
}

/** Characters at the end that may be the beginning of the closing tag. */
function heldBack(text: string): number {
  for (let length = Math.min(closing.length - 1, text.length); length > 0; length--) {
    if (closing.startsWith(text.slice(-length))) return length
  }
  return 0
}

/** `reader` with the tags in its texts taken apart, each choice for itself. */
export function readThinkTags(reader: StreamReader): StreamReader {
  const splitters = new Map<number, ThinkSplitter>()
  const closeOne = (index: number): ChatEvent[] => {
    const pieces = splitters.get(index)?.close() ?? []
    return pieces.map(({ kind, text }): ChatEvent => ({ kind, index, text }))
  }
  const split = (event: ChatEvent): ChatEvent[] => {
    switch (event.kind) {
      case 'text': {
        const splitter = splitters.get(event.index) ?? createThinkSplitter()
        splitters.set(event.index, splitter)
        return splitter.push(event.text).map(({ kind, text }): ChatEvent => ({ kind, index: event.index, text }))
      }
      case 'tool_call_start':
      case 'finish':
        return [...closeOne(event.index), event]
      case 'end':
        return [...[...splitters.keys()].flatMap(closeOne), event]
      default:
        return [event]
    }
  }
  return {
    push: (bytes) => reader.push(bytes).flatMap(split),
    close: () => reader.close().flatMap(split),
  }
}

/** The same for a whole answer. */
export function splitThinkTags(result: ChatResult): ChatResult {
  const choices = result.choices.map((choice) => ({ ...choice, parts: choice.parts.flatMap(splitFirst) }))
  return { ...result, choices }
}

function splitFirst(part: ChatAssistantPart, place: number): ChatAssistantPart[] {
  if (part.kind !== 'text' || place > 0) return [part]
  const splitter = createThinkSplitter()
  return [...splitter.push(part.text), ...splitter.close()].map(({ kind, text }) =>
    kind === 'text' ? { ...part, text } : { kind, text, signature: null, redacted: false },
  )
}
