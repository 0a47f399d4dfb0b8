import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openSignature, type SealedSignature, sealSignature } from './signatures.ts'

const sealed = fc.record<SealedSignature>(
  {
    by: fc.constantFrom('gemini', 'anthropic-messages', 'openai-responses'),
    signature: fc.string({ unit: 'binary' }),
    redacted: fc.constant(true),
    callId: fc.string(),
  },
  { requiredKeys: ['by', 'signature'] },
)

test('4.5.21 what one vendor signed comes back whole from a caller of another', () => {
  fc.assert(
    fc.property(sealed, (value) => {
      const text = sealSignature(value)
      expect(text).toMatch(/^[A-Za-z0-9+/]+=*$/)
      expect(openSignature(text)).toEqual(value)
    }),
  )
})

test("vendors' own signatures are not taken for ours, whatever they look like", () => {
  const own = [
    '',
    'EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk',
    'eyJnaCI6MSw',
    Buffer.from('{"gh":2,"by":"x"}').toString('base64'),
  ]
  for (const text of own) expect(openSignature(text)).toBeNull()
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(openSignature(text)).toBeNull()
    }),
  )
})
