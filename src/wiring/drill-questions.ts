import type { Smoke } from '../backups/index.ts'
import { openDatabase } from '../platform/database/index.ts'
import type { Log } from '../platform/log.ts'
import type { Secrets } from '../platform/secrets.ts'

/** As far as these questions go. */
type Tables = Record<'users' | 'api_keys' | 'models' | 'request_logs', object> & {
  providers: { id: string; api_key_cipher: string }
}

/** What a restored store is asked in a drill: what the hub reads before it serves, and whether its secrets still open. */
export function createQuestions({
  secrets,
  log,
  askHub,
}: {
  secrets: Pick<Secrets, 'decrypt'>
  log: Log
  /** Asked last, with the store as it was found. */
  askHub?: Smoke | undefined
}): Smoke {
  const questions: Smoke = async (address) => {
    const database = await openDatabase<Tables>({ ...address, poolSize: 2, log })
    const db = database.kysely
    const answers: { question: string; isGood: boolean; told: string }[] = []
    const ask = async (question: string, answer: () => Promise<string>) => {
      try {
        answers.push({ question, isGood: true, told: await answer() })
      } catch (error) {
        answers.push({ question, isGood: false, told: (error as Error).message })
      }
    }
    try {
      for (const table of ['users', 'api_keys', 'providers', 'models', 'request_logs'] as const) {
        await ask(`read ${table}`, async () => {
          const rows = await db.selectFrom(table).selectAll().limit(100).execute()
          return rows.length === 100 ? '100 rows and more' : `${rows.length} rows`
        })
      }
      await ask('open the keys of providers', async () => {
        const rows = await db.selectFrom('providers').select(['id', 'api_key_cipher']).execute()
        const sealed = rows.filter((row) => row.api_key_cipher !== '')
        for (const { id, api_key_cipher } of sealed) secrets.decrypt(api_key_cipher, `provider:${id}`)
        return `${sealed.length} opened`
      })
    } finally {
      await database.close()
    }
    return [...answers, ...((await askHub?.(address)) ?? [])]
  }
  questions.rest = async () => askHub?.rest?.()
  return questions
}
