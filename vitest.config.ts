import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Journeys take longest and wait most: begun first, they have others beside them that work, and none is alone at the end. */
class JourneysFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isJourney = ({ moduleId }: TestSpecification) => /\/test\/(?:journeys|console|faults)\//.test(moduleId)
    return [...sorted.filter(isJourney), ...sorted.filter((file) => !isJourney(file))]
  }
}

// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'],
    globalSetup: ['test/harness/provision.ts'],
    pool: 'forks',
    maxWorkers: 4,
    sequence: { sequencer: JourneysFirst },
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Journeys run on a real clock beside each other: in CI what fails is asked once more, and marked `retry x1`.
    retry: process.env.CI === 'true' ? 1 : 0,
  },
})
