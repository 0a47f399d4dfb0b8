/**
 * A hub that serves a restored store and changes nothing anywhere: for drills, which want to know whether what was brought
 * back is served, and not only whether it is there.
 */
import type { Smoke } from '../backups/index.ts'
import type { Loaded } from '../config.ts'
import type { StoreAddress } from '../platform/database/copying/index.ts'
import type { Log } from '../platform/log.ts'
import { startThread, type Thread } from '../platform/thread.ts'

export type AskWish = { config: Loaded['config']; secretKey: string; address: StoreAddress }
/** `fault` is why there was no hub to ask. */
export type Asked = {
  answers: { question: string; isGood: boolean; told: string }[]
  fault: { code: string; message: string } | null
}
/** What `thread.ts` does. */
export type HubVerbs = { ask(wish: AskWish): Promise<Asked> }

type QuestionsParts = { masterKey: () => string | null; log: Log }

/** What keeps a hub from starting and is not the store's fault; a drill that meets it has found out nothing. */
const ofTheMachine = /^(ENOSPC|EDQUOT|EROFS|EMFILE|ENFILE|EADDRINUSE|SQLITE_FULL|53|57|08)/

/** Boots such a hub in a thread of its own and asks it over HTTP. Rejects where the machine has no room for it. */
export function createHubQuestions(config: Loaded['config'], { masterKey, log }: QuestionsParts): Smoke {
  let thread: Thread<HubVerbs> | null = null
  const questions: Smoke = async (address) => {
    thread ??= startThread<HubVerbs>(new URL('./thread.ts', import.meta.url), {
      ...{ name: 'drill', data: null, maxHeapMb: 512 },
      onEnd: (error) => log.warn('The hub of a drill ended before it was asked', { error }),
    })
    const { answers, fault } = await thread.call('ask', { config, secretKey: masterKey() ?? '', address })
    if (fault === null) return answers
    if (ofTheMachine.test(fault.code)) throw Object.assign(new Error(fault.message), { code: fault.code })
    return [{ question: 'boot a read-only hub', isGood: false, told: fault.message }]
  }
  // To load a hub into a thread takes seconds of a core: it is done once for all stores of a drill.
  questions.rest = async () => {
    await thread?.end()
    thread = null
  }
  return questions
}
