import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import type { ExitCode } from './command.ts'
import { runCli } from './run.ts'

export type Ran = { exitCode: ExitCode; out: string; err: string }

/** A command line in a folder of its own for each test. Call it at the top of the test file. */
export function createCommandLine() {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gatehouse-cli-'))
    // An empty file keeps the developer's own gatehouse.toml out of the tests.
    writeFileSync(join(folder, 'empty.toml'), '')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  return {
    path: (name: string) => join(folder, name),
    writeFile(name: string, text: string): string {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    },
    async run(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
      const out: string[] = []
      const err: string[] = []
      const terminal = {
        out: (text: string) => void out.push(text),
        err: (text: string) => void err.push(text),
        env: { GATEHOUSE_CONFIG: join(folder, 'empty.toml'), GATEHOUSE_DATA_DIR: join(folder, 'data'), ...env },
      }
      const exitCode = await runCli(args, terminal, '1.2.3')
      return { exitCode, out: out.join('\n'), err: err.join('\n') }
    },
  }
}
