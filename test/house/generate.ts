/** `npm run docs`: writes every generated page and names those that changed. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { repository } from './imports.ts'
import { pages } from './pages/index.ts'

for (const page of pages) {
  const path = join(repository, page.path)
  const text = await page.render()
  const isSame = existsSync(path) && readFileSync(path, 'utf8') === text
  if (!isSame) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  console.log(`${isSame ? 'unchanged' : 'written  '}  ${page.path}`)
}
