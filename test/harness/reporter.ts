import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

/** What one run came to. `failed` holds broken files, broken hooks and errors outside any test, not only tests. */
export type Counts = { passed: number; failed: number; skipped: number }

/** Where the reporter leaves its counts for the process that started vitest. */
export const countsFileVariable = 'GATEHOUSE_TEST_COUNTS_FILE'

/** Tells vitest's final tree of modules as three numbers. A test that never finished counts as failed. */
export function countRun(modules: readonly TestModule[], unhandledErrors: number): Counts {
  const counts = { passed: 0, failed: unhandledErrors, skipped: 0 }
  for (const module of modules) {
    counts.failed += module.errors().length
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed' || state === 'skipped') counts[state] += 1
      else counts.failed += 1
    }
  }
  return counts
}

// biome-ignore lint/style/noDefaultExport: vitest constructs a reporter from its file's default export
export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const file = process.env[countsFileVariable]
    if (file) writeFileSync(file, JSON.stringify(countRun(modules, unhandledErrors.length)))
  }
}
