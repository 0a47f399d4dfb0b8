import { expect, test } from 'vitest'
import { readLogFormat } from './nginx-log.ts'

const combined =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
const nothing = { seconds: null, upstreamSeconds: null, sentBytes: null, receivedBytes: null }

test('the combined format, also with a user, a request that is none and quotes in an agent', () => {
  const read = readLogFormat(combined)!
  for (const [line, status, sentBytes] of [
    ['127.0.0.1 - - [28/Nov/2026:05:00:00 +0000] "GET / HTTP/1.1" 200 612 "-" "curl/8.1"', 200, 612],
    ['::1 - Ann [B] [28/Nov/2026:05:00:00 +0000] "GET /a b HTTP/1.1" 404 153 "-" "a \\x22b\\x22"', 404, 153],
    ['1.2.3.4 - - [28/Nov/2026:05:00:00 +0000] "\\x16\\x03\\x01" 400 0 "-" "-"', 400, 0],
  ] as const) {
    expect(read(line), line).toEqual({ ...nothing, status, sentBytes })
  }
})

test("a whole directive as nginx's configuration has it, pieces, escapes and all", () => {
  const read = readLogFormat(
    `log_format timed '$remote_addr "$request" ' "$status \${bytes_sent}b "
       'rt=$request_time up=$upstream_response_time in=$request_length';`,
  )!
  expect(read('1.1.1.1 "GET / HTTP/1.1" 502 90b rt=1.250 up=0.500, 0.250 : 0.125 in=77')).toEqual({
    ...{ status: 502, seconds: 1.25, upstreamSeconds: 0.875, sentBytes: 90, receivedBytes: 77 },
  })
  expect(read('1.1.1.1 "GET / HTTP/1.1" 499 0b rt=0.000 up=- in=77')).toMatchObject({ upstreamSeconds: null })
})

test('escape=json: a quote in a value does not end it', () => {
  const read = readLogFormat(
    `log_format j escape=json '{"ua":"$http_user_agent","status":"$status","rt":$request_time}';`,
  )!
  expect(read('{"ua":"x\\",\\"status\\":\\"500","status":"200","rt":0.001}')).toMatchObject({
    status: 200,
    seconds: 0.001,
  })
  expect(read('{"ua":"ends with \\\\","status":"201","rt":0.002}')).toMatchObject({ status: 201 })
})

test.each(['', 'no variable', '$remote_addr', '$status$bytes_sent'])('what cannot be read is refused: %s', (format) => {
  expect(readLogFormat(format)).toBeNull()
})

test.each(['', 'garbage', '1 - - [t] "r" abc 1 "-" "-"', '1 - - [t] "r" 200 1 "-" "-" more'])(
  'a line that is not of the format is no request: %s',
  (line) => {
    expect(readLogFormat(combined)!(line)).toBeNull()
  },
)

test('a line made to be slow is read in one pass', () => {
  const read = readLogFormat(combined)!
  const line = `${' - ['.repeat(2e5)}`
  const startedAt = performance.now()
  expect(read(line)).toBeNull()
  expect(performance.now() - startedAt).toBeLessThan(2000)
})
