/** The thread that reads and writes backups, so that neither a large store nor a slow disk holds up callers. */
import { HubError } from '../kernel/errors.ts'
import { answerCalls } from '../platform/thread.ts'
import { type LoadWish, load, type TakeWish, take, type VerifyWish, verify } from './work.ts'

/** Errors lose what makes them ours on their way between threads; this keeps it. */
export type Told<T> = { value: T } | { fault: { code: string; message: string; param?: string } }

async function tell<T>(work: Promise<T>): Promise<Told<T>> {
  try {
    return { value: await work }
  } catch (error) {
    const { code, message } = error as Error & { code?: unknown }
    if (!(error instanceof HubError)) return { fault: { code: String(code ?? ''), message } }
    const detail = error.detail === undefined ? message : `${message} (${error.detail})`
    return { fault: { code: error.code, message: detail, ...(error.param !== undefined && { param: error.param }) } }
  }
}

function createVerbs() {
  return {
    take: (wish: TakeWish) => tell(take(wish)),
    verify: (wish: VerifyWish) => tell(verify(wish)),
    load: (wish: LoadWish) => tell(load(wish)),
  }
}

export type ThreadVerbs = ReturnType<typeof createVerbs>

answerCalls(createVerbs, { urgent: [] })
