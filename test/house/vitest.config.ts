import { defineConfig } from 'vitest/config'

// House tests read files only: no database is provisioned for them.
// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig({ test: { include: ['test/house/**/*.test.ts'], root: '.', pool: 'forks', maxWorkers: 2 } })
