/** `npm run check`: every check, one line each with its time; what failed is told in full. Exits 1 if any failed. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { repository } from './imports.ts'

const checks: readonly { name: string; command: readonly string[] }[] = [
  { name: 'format and lint', command: ['biome', 'ci', '--colors=off', '.'] },
  { name: 'promises', command: ['oxlint', '--type-aware', '--quiet', 'src', 'test', 'bench'] },
  { name: 'types', command: ['tsc', '-p', '.'] },
  { name: 'console', command: ['vue-tsc', '--noEmit', '-p', 'console'] },
  { name: 'house tests', command: ['vitest', 'run', 'test/house', '--config', 'test/house/vitest.config.ts'] },
  { name: 'unused code', command: ['knip', '--no-progress'] },
  { name: 'import circles', command: ['depcruise', '--config', '.dependency-cruiser.cjs', 'src'] },
]

type Outcome = { isGood: boolean; output: string; seconds: number }

async function run([program, ...args]: readonly string[]): Promise<Outcome> {
  const started = performance.now()
  const env = { ...process.env, PATH: `${join(repository, 'node_modules/.bin')}:${process.env.PATH}`, NO_COLOR: '1' }
  const child = spawn(program!, args, { cwd: repository, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  const code = await new Promise((resolve) => {
    child.on('error', (error) => {
      chunks.push(Buffer.from(error.message))
      resolve(null)
    })
    child.on('close', resolve)
  })
  const output = Buffer.concat(chunks).toString().trim()
  return { isGood: code === 0, output, seconds: (performance.now() - started) / 1000 }
}

for (const { name, command } of checks) {
  const { isGood, output, seconds } = await run(command)
  console.log(`${isGood ? '✓' : '✗'} ${name.padEnd(16)} ${seconds.toFixed(1).padStart(5)} s`)
  if (isGood) continue
  process.exitCode = 1
  console.log(output)
}
