/**
 * `npm run build`: the console as files in `console/dist`, each beside its gzip. `--if-needed` (before `npm start`) does
 * nothing where what is there was made of these sources. The folder is swapped when it is whole: a hub that runs goes on.
 */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { constants, gzipSync } from 'node:zlib'

const folder = import.meta.dirname
// Two that build at once, as tests may, do not write into each other's folder.
const [made, making, old] = ['dist', `dist.making-${process.pid}`, `dist.old-${process.pid}`].map((name) =>
  join(folder, name),
) as [string, string, string]
const noteName = 'made-of'
const isIfNeeded = process.argv.includes('--if-needed')

const wanted = hashSources()
const isMade = () => existsSync(join(made, noteName)) && readFileSync(join(made, noteName), 'utf8') === wanted
if (isIfNeeded && isMade()) process.exit(0)

const vite = await import('vite').catch(() => null)
if (vite === null) {
  process.stderr.write(
    'The console is not built: vite is not installed (npm ci installs it). The hub runs without it.\n',
  )
  process.exit(isIfNeeded ? 0 : 1)
}
process.stdout.write('Building the console … 正在构建控制台…\n')
const startedAt = performance.now()
try {
  rmSync(making, { recursive: true, force: true })
  await vite.build({
    ...{ root: folder, logLevel: 'warn', build: { outDir: making, emptyOutDir: true } },
    // What the page "About" names.
    define: { 'import.meta.env.VITE_BUILD': JSON.stringify(wanted.slice(0, 12)) },
  })
  for (const name of readdirSync(join(making, 'assets'))) compress(join(making, 'assets', name))
  writeFileSync(join(making, noteName), wanted)
  if (isIfNeeded && isMade()) rmSync(making, { recursive: true, force: true })
  else {
    if (existsSync(made)) renameSync(made, old)
    renameSync(making, made)
    rmSync(old, { recursive: true, force: true })
  }
  process.stdout.write(`The console is built (${((performance.now() - startedAt) / 1000).toFixed(1)} s).\n`)
} catch (error) {
  process.stderr.write(`The console could not be built: ${error instanceof Error ? error.message : error}\n`)
  // The hub is more than its console: it starts, and its page says how to build it.
  process.exitCode = isIfNeeded ? 0 : 1
}

function compress(file: string): void {
  const content = readFileSync(file)
  const packed = gzipSync(content, { level: constants.Z_BEST_COMPRESSION })
  if (packed.length < content.length) writeFileSync(`${file}.gz`, packed)
}

/** What the outcome depends on: the sources, and the versions of what is built in. */
function hashSources(): string {
  const hash = createHash('sha256')
  const add = (path: string) => {
    if (statSync(path).isDirectory()) for (const name of readdirSync(path).sort()) add(join(path, name))
    else hash.update(`${relative(folder, path)}\0`).update(readFileSync(path))
  }
  for (const name of ['src', 'index.html', 'vite.config.ts', 'package.json', '../package-lock.json']) {
    // Published packages have no lock file.
    if (existsSync(join(folder, name))) add(join(folder, name))
  }
  return hash.digest('hex')
}
