import { expect, test } from 'vitest'
import { scrubMessage } from './scrub.ts'

test('5.6.44 keys, addresses and accounts do not pass', () => {
  const cases: [string, string][] = [
    [
      'Incorrect API key provided: sk-proj-abcDEF123456. Find yours at https://platform.openai.com/account/api-keys.',
      'sk-proj',
    ],
    ['Incorrect API key provided: sk-abc*****************wxyz.', 'wxyz'],
    ['Rate limit reached for gpt-4o in organization org-AbCdEf123456 on tokens per min', 'org-AbC'],
    ['connect ECONNREFUSED 10.2.3.4:8443', '10.2.3.4'],
    ['getaddrinfo ENOTFOUND llm.corp.internal', 'corp.internal'],
    ['upstream https://user:pass@llm.example.com/v1?key=1 failed', 'example.com'],
    ['API key AIzaSyA1234567890abcdefghijklmnop not valid', 'AIzaSy'],
    ['Permission denied on resource projects/my-secret-project', 'my-secret'],
    ['account ops@example.com is suspended', 'ops@'],
    ['header was Bearer abc.def.ghi', 'abc.def'],
    ['token 0123456789abcdef0123456789abcdef expired', '0123456789abcdef'],
  ]
  for (const [message, secret] of cases) expect(scrubMessage(message)).not.toContain(secret)
})

test('5.6.44 what helps the caller stays', () => {
  const message =
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens."
  expect(scrubMessage(message)).toBe(message)
  expect(scrubMessage('Invalid value for messages[2].content[0].image_url.url, model gpt-4o-2024-08-06')).toBe(
    'Invalid value for messages[2].content[0].image_url.url, model gpt-4o-2024-08-06',
  )
})

test('long or many-lined words become one line of at most 1000 characters', () => {
  expect(scrubMessage('a\n\n b\t c')).toBe('a b c')
  expect(scrubMessage('so long '.repeat(1000))).toHaveLength(1000)
})
