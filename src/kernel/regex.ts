import { type Assertion, compileProgram, type Instruction, isWord, type Program } from './regex-syntax.ts'

/** A pattern that must match a whole text, in time linear in the text whatever the pattern is. */
export type Regex = {
  matches(text: string): boolean
  /** The groups by number, null when the text does not match. Group 0 is the text. */
  capture(text: string): (string | undefined)[] | null
  names: ReadonlyMap<string, number>
}

/** RE2's syntax; throws an Error that says what is wrong. `isDotAll` lets `.` match a line break. */
export function compileRegex(pattern: string, options: { isDotAll: boolean }): Regex {
  const program = compileProgram(pattern, options)
  const literals = literalsOf(pattern)
  return {
    names: program.names,
    matches: literals === null ? (text) => run(program, text, false) !== null : (text) => literals.has(text),
    capture(text) {
      const slots = run(program, text, true)
      if (slots === null) return null
      const groups: (string | undefined)[] = [text]
      const chars = Array.from(text)
      for (let group = 1; group <= program.groups; group++) {
        const [from, to] = [slots[group * 2], slots[group * 2 + 1]]
        groups.push(from === undefined || to === undefined ? undefined : chars.slice(from, to).join(''))
      }
      return groups
    },
  }
}

/** Whether RE2's pattern is found anywhere in a text, in time linear in it; throws an Error that says what is wrong. */
export function compileSearch(pattern: string): (text: string) => boolean {
  // Alone first: what closes a group that it did not open must not pass because of the one around it.
  compileProgram(pattern, { isDotAll: false })
  const { matches } = compileRegex(`(?s:.*?)(?:${pattern})(?s:.*)`, { isDotAll: false })
  return matches
}

/** `a|b|c` is a set, and most patterns of dashboards are that. */
function literalsOf(pattern: string): ReadonlySet<string> | null {
  return /^[\w :/@,;=-]*(\|[\w :/@,;=-]*)*$/.test(pattern) ? new Set(pattern.split('|')) : null
}

type Slots = readonly (number | undefined)[]
type Thread = { at: number; slots: Slots }

/**
 * All ways of matching are followed at once, in the order of their preference, each place of the program at most once a
 * character: https://swtch.com/~rsc/regexp/regexp2.html
 */
function run({ code }: Program, text: string, keepsSlots: boolean): Slots | null {
  const chars = Array.from(text, (char) => char.codePointAt(0)!)
  const seenAt = new Int32Array(code.length).fill(-1)
  let threads: Thread[] = []
  let best: Slots | null = null

  const add = (list: Thread[], start: number, startSlots: Slots, position: number) => {
    // A stack of its own: a long pattern must not overflow that of the engine.
    const stack: Thread[] = [{ at: start, slots: startSlots }]
    for (let thread = stack.pop(); thread !== undefined; thread = stack.pop()) {
      const { at, slots } = thread
      if (seenAt[at] === position) continue
      seenAt[at] = position
      const instruction = code[at] as Instruction
      if (instruction.op === 'jump') stack.push({ at: instruction.to, slots })
      else if (instruction.op === 'split') {
        stack.push({ at: instruction.second, slots }, { at: instruction.first, slots })
      } else if (instruction.op === 'save') {
        const next = keepsSlots ? [...slots] : slots
        if (keepsSlots) (next as (number | undefined)[])[instruction.slot] = position
        stack.push({ at: at + 1, slots: next })
      } else if (instruction.op === 'assert') {
        if (holds(instruction.kind, chars, position)) stack.push({ at: at + 1, slots })
      } else list.push({ at, slots })
    }
  }

  add(threads, 0, [], 0)
  for (let position = 0; position < chars.length && threads.length > 0; position++) {
    const next: Thread[] = []
    for (const { at, slots } of threads) {
      const instruction = code[at] as Instruction
      if (instruction.op === 'one' && instruction.test(chars[position]!)) add(next, at + 1, slots, position + 1)
    }
    threads = next
  }
  for (const { at, slots } of threads) {
    if (code[at]?.op !== 'match') continue
    best = slots
    break
  }
  return best
}

function holds(kind: Assertion, chars: readonly number[], at: number): boolean {
  const isWordAt = (i: number) => i >= 0 && i < chars.length && isWord(chars[i]!)
  switch (kind) {
    case 'start':
      return at === 0
    case 'end':
      return at === chars.length
    case 'line-start':
      return at === 0 || chars[at - 1] === 10
    case 'line-end':
      return at === chars.length || chars[at] === 10
    case 'word':
      return isWordAt(at - 1) !== isWordAt(at)
    case 'not-word':
      return isWordAt(at - 1) === isWordAt(at)
  }
}
