import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { createLink } from './link.ts'

test('a question to a supervisor that has ended is refused, not waited for', async () => {
  const [ours, theirs] = duplexPair()
  theirs.resume()
  const link = createLink(ours)
  const asked = link.ask('acquire', ['lease', 1000])
  theirs.destroy()
  await expect(asked).rejects.toMatchObject({ code: 'unavailable' })
  await expect(link.ask('release', ['lease'])).rejects.toMatchObject({ code: 'unavailable' })
})
