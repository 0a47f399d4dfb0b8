import { type MessagePort, parentPort, receiveMessageOnPort, Worker, workerData } from 'node:worker_threads'
import { fail } from '../kernel/errors.ts'
import { collectStartGarbage } from './start-garbage.ts'

/**
 * What a thread does for others: each verb takes one value and gives one back, both of what can be cloned, and is told
 * how long the call has waited for its turn.
 */
export type Verbs = Record<string, (input: never, waitedMs: number) => unknown>

type Call = { id: number; verb: string; input: unknown; sentAt: number }
type Answer = { id: number; value: unknown } | { id: number; error: { name: string; message: string; type?: string } }

export type Thread<V extends Verbs> = {
  /**
   * Rejects with an Error that has the thread's `name`, `message` and `type`, or with `unavailable` once the thread is
   * gone. `transfer` names buffers that are handed over rather than copied.
   */
  call<K extends keyof V & string>(
    verb: K,
    input: Parameters<V[K]>[0],
    transfer?: readonly ArrayBuffer[],
  ): Promise<Awaited<ReturnType<V[K]>>>
  /** Calls that were not answered yet. */
  waiting(): number
  /** Ends the thread; what was not answered is refused. */
  end(): Promise<void>
}

/**
 * Starts `module` in a thread of its own, for work that must not hold up the event loop. `onEnd` is told when it ends
 * without being asked to. Its memory is bounded: a thread that wants more ends, and the process lives on.
 */
export function startThread<V extends Verbs>(
  module: URL,
  { name, data, maxHeapMb, onEnd }: { name: string; data: unknown; maxHeapMb: number; onEnd(error: unknown): void },
): Thread<V> {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  let lastId = 0
  let state: 'running' | 'ending' | 'gone' = 'running'
  const worker = new Worker(module, {
    name,
    workerData: data,
    // A small nursery: what is made for one answer and thrown away must not make the whole process big.
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb, maxYoungGenerationSizeMb: 16 },
    execArgv: threadFlags(process.execArgv),
  })
  worker.on('message', (answer: Answer) => {
    const caller = waiting.get(answer.id)
    waiting.delete(answer.id)
    if ('value' in answer) caller?.resolve(answer.value)
    else caller?.reject(Object.assign(new Error(answer.error.message), answer.error))
  })
  worker.on('error', leave)
  worker.on('exit', (code) => leave(new Error(`the thread ${name} ended with code ${code}`)))

  function leave(error: unknown) {
    if (state === 'gone') return
    const wasAsked = state === 'ending'
    state = 'gone'
    for (const caller of waiting.values()) caller.reject(absent(error))
    waiting.clear()
    if (!wasAsked) onEnd(error)
  }

  function absent(cause?: unknown) {
    return fail('unavailable', `The thread ${name} has ended`, { cause })
  }

  return {
    call(verb, input, transfer = []) {
      if (state !== 'running') return Promise.reject(absent())
      return new Promise((resolve, reject) => {
        const id = ++lastId
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject })
        worker.postMessage({ id, verb, input, sentAt: sharedNow() } satisfies Call, transfer as ArrayBuffer[])
      })
    },
    waiting: () => waiting.size,
    async end() {
      if (state !== 'running') return
      state = 'ending'
      await worker.terminate()
    },
  }
}

/**
 * What a thread takes of the process's flags: the launcher's preload, by which it need not strip types itself. Others
 * (--watch, a test runner's loaders) have no business there.
 */
export function threadFlags(flags: readonly string[]): string[] {
  const kept = flags.find((flag) => flag.endsWith('kept-sources.cjs'))
  return kept === undefined ? [] : ['--require', kept]
}

/** Every thread counts from its own start; this counts from the epoch, and does not jump. */
function sharedNow(): number {
  return performance.timeOrigin + performance.now()
}

/** Inside a thread: what it was started with. */
export function threadData<T>(): T {
  return workerData as T
}

/**
 * Inside a thread: answers calls, one after the other. `breathe`, given to `open`, answers those of the verbs named in
 * `urgent` that have come in the meantime, so that a long verb need not hold them up.
 */
export function answerCalls<V extends Verbs>(
  open: (breathe: () => void) => V,
  { urgent }: { urgent: readonly (keyof V & string)[] },
): void {
  const port = parentPort as MessagePort
  const later: Call[] = []
  const verbs = open(() => {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      const call = next.message as Call
      if (urgent.includes(call.verb)) void answer(call)
      else later.push(call)
    }
  })
  collectStartGarbage()
  async function answer({ id, verb, input, sentAt }: Call) {
    try {
      const run = verbs[verb] as (input: unknown, waitedMs: number) => unknown
      port.postMessage({ id, value: await run(input, sharedNow() - sentAt) } satisfies Answer)
    } catch (error) {
      const { name, message, type } = error as Error & { type?: string }
      port.postMessage({ id, error: { name, message, ...(type !== undefined && { type }) } } satisfies Answer)
    }
  }
  port.on('message', (call: Call) => {
    void answer(call)
    for (let next = later.shift(); next !== undefined; next = later.shift()) void answer(next)
  })
}
