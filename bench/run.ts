/** `npm run bench [-- NAME] [-- flags]`: one of the benches beside this file; without a name, the gateway's. */
import { globSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const names = globSync('*/run.ts', { cwd: folder })
  .map((file) => dirname(file))
  .sort()
const asked = process.argv[2]
const isNamed = asked !== undefined && !asked.startsWith('-')
const name = isNamed ? asked : 'gateway'
if (names.includes(name)) {
  if (isNamed) process.argv.splice(2, 1)
  await import(`./${name}/run.ts`)
} else {
  console.error(`There is no bench "${name}". There are: ${names.join(', ')}`)
  process.exitCode = 1
}
