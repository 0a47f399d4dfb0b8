import type { RunningSubject } from './subjects/subject.ts'

export type Scenario = {
  name: string
  connections: number
  /** What CPU time is divided by. */
  unit: 'request' | 'chunk'
  model: 'mock' | 'mock-paced'
  /** Of the request; 1 KB unless said. */
  bodyBytes?: number
  isQuick: boolean
}

export const scenarios: readonly Scenario[] = [
  { name: 'whole answers, c=1', connections: 1, unit: 'request', model: 'mock', isQuick: false },
  { name: 'whole answers, c=16', connections: 16, unit: 'request', model: 'mock', isQuick: false },
  { name: 'whole answers, c=64', connections: 64, unit: 'request', model: 'mock', isQuick: true },
  { name: 'whole answers, c=256', connections: 256, unit: 'request', model: 'mock', isQuick: false },
  {
    name: 'bodies of 100 KB, c=16',
    connections: 16,
    unit: 'request',
    model: 'mock',
    bodyBytes: 102_400,
    isQuick: false,
  },
  { name: 'streams in bursts, c=16', connections: 16, unit: 'chunk', model: 'mock', isQuick: false },
  { name: 'streams in bursts, c=64', connections: 64, unit: 'chunk', model: 'mock', isQuick: true },
  {
    name: 'streams, 10,000 chunks a second, c=100',
    connections: 100,
    unit: 'chunk',
    model: 'mock-paced',
    isQuick: false,
  },
  { name: 'streams, a chunk every 10 ms, c=64', connections: 64, unit: 'chunk', model: 'mock-paced', isQuick: true },
]

/** What tells the load generator that an answer is whole: chunks (or one answer) with this word, and these last bytes. */
export const expectation = {
  request: { mark: 'lorem-', marks: 1, tail: '}' },
  chunk: { mark: 'lorem-', marks: 100, tail: '[DONE]' },
} as const

/** A chat call, of 1 KB unless the scenario says more, as OpenAI's SDK sends it, with some text that is not ASCII as chats have. */
export function writeRequest(scenario: Scenario, subject: RunningSubject): string {
  const isStream = scenario.unit === 'chunk'
  const body = {
    model: scenario.model,
    messages: [
      { role: 'system', content: 'You answer in one short paragraph and never invent a source.' },
      { role: 'user', content: '' },
    ],
    temperature: 0.7,
    max_tokens: 256,
    ...(isStream && { stream: true, stream_options: { include_usage: true } }),
  }
  const sentence = 'Explain – in plain words – why the sky is blue at noon and red in the evening. '
  const user = body.messages[1] as { content: string }
  while (Buffer.byteLength(JSON.stringify(body)) < (scenario.bodyBytes ?? 1024)) user.content += sentence
  const json = JSON.stringify(body)
  const headers = {
    host: `127.0.0.1:${subject.port}`,
    accept: 'application/json',
    'content-type': 'application/json',
    'user-agent': 'OpenAI/JS 7.57.0',
    'x-stainless-lang': 'js',
    'x-stainless-package-version': '7.57.0',
    'x-stainless-os': 'Linux',
    'x-stainless-arch': 'x64',
    'x-stainless-runtime': 'node',
    'x-stainless-runtime-version': 'v24.21.0',
    'x-stainless-retry-count': '0',
    'x-stainless-timeout': '600',
    ...subject.headers,
    'content-length': String(Buffer.byteLength(json)),
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST ${subject.path} HTTP/1.1\r\n${lines.join('')}\r\n${json}`
}
