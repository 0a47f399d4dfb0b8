import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { boundaryOf, createMultipartScanner } from './multipart.ts'

const boundary = 'XyZ'
const part = (name: string, value: string, filename?: string, more = '') =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n${more}\r\n${value}\r\n`
const close = `--${boundary}--\r\n`

function scan(body: Buffer, cuts: readonly number[]) {
  const scanner = createMultipartScanner(boundary)
  let at = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    if (cut <= at || cut >= body.length) continue
    scanner.push(Buffer.from(body.subarray(at, cut)))
    at = cut
  }
  scanner.push(Buffer.from(body.subarray(at)))
  return scanner
}

describe('a multipart body', () => {
  test('is read the same however it is cut, and as Node reads it', async () => {
    const letters = fc.constantFrom('a', '-', '--XyZ', '\r', '\n', '\r\n', '\r\n--', '\r\n--Xy', 'é', '"')
    const value = fc.array(letters, { maxLength: 8 }).map((all) => all.join(''))
    // What would end the part is no value of one.
    const inside = value.filter((text) => !`\r\n${text}\r\n`.includes(`\r\n--${boundary}`))
    const field = fc.record({ value: inside, isFile: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(
        fc.array(field, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(400), { maxLength: 20 }),
        async (all, cuts) => {
          const parts = all.map(({ value: text, isFile }, i) => part(`f${i}`, text, isFile ? `${i}.bin` : undefined))
          const body = Buffer.from(parts.join('') + close)
          const scanner = scan(body, cuts)
          expect(scanner.isComplete).toBe(true)
          const read = scanner.parts.map(({ start, end }) => body.toString('utf8', start, end))
          expect(read).toEqual(all.map((each) => each.value))
          expect(scanner.parts.map(({ text }) => text)).toEqual(all.map((each) => (each.isFile ? null : each.value)))
          // Node's own reader stumbles over a boundary without its line end.
          if (all.some((each) => each.value.includes(`--${boundary}`))) return
          const type = `multipart/form-data; boundary=${boundary}`
          const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData()
          for (const [i, each] of all.entries()) {
            const got = form.get(`f${i}`)
            expect(typeof got === 'string' ? got : await got!.text()).toBe(each.value)
          }
        },
      ),
      { numRuns: Number(process.env.RUNS ?? 300) },
    )
  })

  test.each([
    ['no name', `--${boundary}\r\nContent-Type: text/plain\r\n\r\nx\r\n${close}`],
    ['two names', part('a', 'x', undefined, 'Content-Disposition: form-data; name="b"\r\n') + close],
    ['a name with escapes', part('mod\\"el', 'x') + close],
    ['a name twice in one line', part('a"; name="b', 'x') + close],
    ['an extended name', `--${boundary}\r\nContent-Disposition: form-data; name*=utf-8''model\r\n\r\nx\r\n${close}`],
    ['an encoding', part('a', 'eA==', undefined, 'Content-Transfer-Encoding: base64\r\n') + close],
    ['something behind a boundary', `--${boundary}x\r\n\r\n`],
    ['endless headers', `--${boundary}\r\nX-A: ${'a'.repeat(20_000)}`],
    ['an endless field', part('a', 'a'.repeat(300_000)) + close],
    ['too many parts', Array.from({ length: 201 }, (_, i) => part(`f${i}`, 'x')).join('') + close],
  ])('with %s is refused', (_, body) => {
    expect(() => scan(Buffer.from(body), [])).toThrow(expect.objectContaining({ code: 'invalid_request' }))
  })

  test('that ends early is not complete', () => {
    expect(scan(Buffer.from(part('a', 'x')), []).isComplete).toBe(false)
  })
})

test('the boundary is read in both its spellings', () => {
  expect(boundaryOf('multipart/form-data; boundary=abc')).toBe('abc')
  expect(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b"')).toBe('a b')
  expect(() => boundaryOf('application/json')).toThrow(expect.objectContaining({ code: 'unsupported_media_type' }))
  expect(() => boundaryOf(undefined)).toThrow()
})
