import { onBeforeUnmount, type Ref, ref } from 'vue'

/** The time, epoch ms, again every so often while the page is there. */
export function useNow(everyMs: number): Ref<number> {
  const now = ref(Date.now())
  const timer = setInterval(() => {
    now.value = Date.now()
  }, everyMs)
  onBeforeUnmount(() => clearInterval(timer))
  return now
}
