import { onScopeDispose, ref, shallowRef, watch } from 'vue'
import { ApiError, openAnswer } from '../api.ts'
import { eventsOf } from './events.ts'

/** Work that takes long: `stream` tells how far it is, `ask` says the same once, where the stream is away. */
export type Work<Progress, End> = {
  stream: string
  ask(signal: AbortSignal): Promise<{ progress: Progress | null; end: End | null }>
}

const askEveryMs = 2000
/** So many questions, then the stream is tried again. */
const asksBetween = 5

/**
 * Follows long work to its end, also through streams that break: then it asks, and goes back to the stream when it can.
 * `how` says where the news come from. Another `work` (told apart by its stream) is followed instead; null is none.
 */
export function useProgress<Progress, End>(work: () => Work<Progress, End> | null) {
  const progress = shallowRef<Progress | null>(null)
  const end = shallowRef<End | null>(null)
  const failure = ref('')
  const how = ref<'none' | 'stream' | 'asked'>('none')
  let following: AbortController | undefined

  async function follow(one: Work<Progress, End>, signal: AbortSignal) {
    while (!signal.aborted && end.value === null) {
      try {
        await listen(one, signal)
      } catch (error) {
        if (isFinal(error)) return stop(error)
      }
      if (signal.aborted || end.value !== null) return
      // It broke, or ended without a word: what is behind it is asked.
      how.value = 'asked'
      for (let asked = 0; asked < asksBetween && !signal.aborted; asked++) {
        try {
          const told = await one.ask(signal)
          if (signal.aborted) return
          failure.value = ''
          if (told.progress !== null) progress.value = told.progress
          if (told.end !== null) return finish(told.end)
        } catch (error) {
          if (signal.aborted) return
          if (isFinal(error)) return stop(error)
          failure.value = (error as Error).message
        }
        await rest(askEveryMs, signal)
      }
    }
  }

  async function listen({ stream }: Work<Progress, End>, signal: AbortSignal) {
    const { body } = await openAnswer('GET', stream, { signal, headers: { accept: 'text/event-stream' } })
    ;[how.value, failure.value] = ['stream', '']
    for await (const { name, data } of eventsOf(body!)) {
      if (signal.aborted) return
      if (name === 'progress') progress.value = JSON.parse(data)
      else if (name === 'end') return finish(JSON.parse(data))
    }
  }

  const isFinal = (error: unknown) => error instanceof ApiError && [401, 403, 404].includes(error.status)
  function stop(error: unknown) {
    ;[how.value, failure.value] = ['none', (error as Error).message]
  }
  function finish(told: End) {
    ;[how.value, end.value] = ['none', told]
  }

  watch(
    () => work()?.stream ?? '',
    () => {
      following?.abort()
      ;[progress.value, end.value, failure.value, how.value] = [null, null, '', 'none']
      const one = work()
      if (one === null) return
      following = new AbortController()
      void follow(one, following.signal)
    },
    { immediate: true },
  )
  onScopeDispose(() => following?.abort())

  return { progress, end, failure, how }
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
