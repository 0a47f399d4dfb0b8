import { scrub } from '../../platform/scrub.ts'
import { defineCheck, reasonOf } from '../check.ts'

export const databaseCheck = defineCheck({
  name: 'database',
  isCritical: true,
  describe: 'The main store answers a query.',
  async run({ database }) {
    const { engine } = database
    try {
      await database.ping()
      return { state: 'ok', message: `The ${engine} store answers.`, remedy: '', observed: { engine } }
    } catch (error) {
      return {
        state: 'failed',
        message: `The ${engine} store does not answer: ${scrub(reasonOf(error))}`,
        remedy:
          engine === 'sqlite'
            ? 'Look at the free space and the owner of the data folder.'
            : 'Look whether PostgreSQL runs and whether database.url leads to it. Known keys are served meanwhile.',
        observed: { engine },
      }
    }
  },
})
