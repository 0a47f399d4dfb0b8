import { z } from 'zod'
import { compileSearch } from '../kernel/regex.ts'
import { type Finding, failed, type Reason } from './probes/probe.ts'

/** What an HTTP answer must be like; the http check and each step of a suite ask the same. */
export const expectationShape = {
  status: z
    .array(
      z
        .string()
        .regex(
          /^[1-5](xx|\d\d(-[1-5]\d\d)?)$/,
          'is a status such as 200, a class such as 2xx or a range such as 200-204',
        ),
    )
    .min(1)
    .max(20)
    .default(['2xx'])
    .describe('Statuses that are in order: 200, 2xx or 200-204.'),
  headers: z
    .record(z.string().max(200), z.string().max(500))
    .default({})
    .describe('Headers of the answer and the patterns (RE2) that must be found in them.'),
  body: z
    .string()
    .max(1000)
    .refine(isPattern, 'is no regular expression of RE2')
    .default('')
    .describe('A pattern (RE2) that must be found in the body.'),
  body_absent: z
    .string()
    .max(1000)
    .refine(isPattern, 'is no regular expression of RE2')
    .default('')
    .describe('A pattern (RE2) that must not be found in the body.'),
  json: z
    .array(
      z.strictObject({
        path: z
          .string()
          .max(300)
          .refine(isPath, 'is a path such as $.data[0].name')
          .describe("$.a.b[0]['c d']; a negative index counts from the end."),
        is: z.enum(['present', 'absent', 'equal', 'not_equal', 'less', 'greater', 'matching']).default('present'),
        value: z.union([z.string().max(1000), z.number(), z.boolean(), z.null()]).optional(),
      }),
    )
    .max(20)
    .default([])
    .describe('What members of a JSON body must be.'),
  max_bytes: z.int().min(1).max(1_048_576).default(262_144).describe('An answer with more is not in order.'),
} as const

const expectation = z.strictObject(expectationShape)
export type Expectation = z.infer<typeof expectation>

export type Answer = { status: number; headers: Record<string, string | string[] | undefined>; body: Buffer }

/** The first thing about an answer that is not as expected; null when all is. */
export function findFault(answer: Answer, expected: Expectation): Finding | null {
  const fault = (reason: Reason, message: string) =>
    failed(reason, message, { status: answer.status, bytes: answer.body.length })
  if (!expected.status.some((each) => isStatus(answer.status, each))) {
    return fault('status', `Answers ${answer.status}, expected ${expected.status.join(', ')}.`)
  }
  for (const [name, pattern] of Object.entries(expected.headers)) {
    const value = answer.headers[name.toLowerCase()]
    if (value === undefined) return fault('header', `The header ${name} is missing.`)
    if (!compileSearch(pattern)([value].flat().join(', ')))
      return fault('header', `The header ${name} does not match ${pattern}.`)
  }
  const text = answer.body.toString('utf8')
  if (expected.body !== '' && !compileSearch(expected.body)(text))
    return fault('body', `Nothing in the body matches ${expected.body}.`)
  if (expected.body_absent !== '' && compileSearch(expected.body_absent)(text)) {
    return fault('body', `The body has what must not be there: ${expected.body_absent}.`)
  }
  if (expected.json.length === 0) return null
  const parsed = parseJson(text)
  if (parsed === undefined) return fault('json', 'The body is not JSON.')
  for (const { path, is, value } of expected.json) {
    if (!isSo(readPath(parsed, path), is, value)) {
      return fault('json', `${path} is not ${is}${value === undefined ? '' : ` ${JSON.stringify(value)}`}.`)
    }
  }
  return null
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isStatus(status: number, pattern: string): boolean {
  if (pattern.endsWith('xx')) return Math.floor(status / 100) === Number(pattern[0])
  const [from, to = from] = pattern.split('-').map(Number)
  return status >= from! && status <= to!
}

function isSo(found: unknown, is: Expectation['json'][number]['is'], value: unknown): boolean {
  switch (is) {
    case 'present':
      return found !== undefined
    case 'absent':
      return found === undefined
    case 'equal':
      return found === value
    case 'not_equal':
      return found !== value
    case 'less':
      return typeof found === 'number' && found < Number(value)
    case 'greater':
      return typeof found === 'number' && found > Number(value)
    case 'matching':
      return (
        found !== undefined && compileSearch(String(value))(typeof found === 'string' ? found : JSON.stringify(found))
      )
  }
}

const step = /\.([A-Za-z_$][\w$-]*)|\[(-?\d+)\]|\['((?:[^'\\]|\\.)*)'\]/y

function stepsOf(path: string): (string | number)[] | null {
  if (!path.startsWith('$')) return null
  const steps: (string | number)[] = []
  step.lastIndex = 1
  while (step.lastIndex < path.length) {
    const found = step.exec(path)
    if (found === null) return null
    steps.push(found[1] ?? (found[2] === undefined ? found[3]!.replace(/\\(.)/g, '$1') : Number(found[2])))
  }
  return steps
}

function isPath(path: string): boolean {
  return stepsOf(path) !== null
}

function isPattern(pattern: string): boolean {
  try {
    compileSearch(pattern)
    return true
  } catch {
    return false
  }
}

/** The member at a path, undefined where there is none. Own members only. */
export function readPath(root: unknown, path: string): unknown {
  let at = root
  for (const each of stepsOf(path) ?? []) {
    if (typeof each === 'number') at = Array.isArray(at) ? at.at(each) : undefined
    else
      at =
        typeof at === 'object' && at !== null && Object.hasOwn(at, each)
          ? (at as Record<string, unknown>)[each]
          : undefined
  }
  return at
}
