import { ElMessageBox } from 'element-plus'
import { computed, ref, shallowRef } from 'vue'
import { useI18n } from 'vue-i18n'

/** Something that is tried on a page: what the hub says against it stands in `failure`, as it was thrown. */
export function useAttempt() {
  const failure = shallowRef<unknown>(null)
  const isBusy = ref(false)

  async function attempt(work: () => Promise<unknown>): Promise<boolean> {
    failure.value = null
    isBusy.value = true
    try {
      await work()
      return true
    } catch (error) {
      failure.value = error
      return false
    } finally {
      isBusy.value = false
    }
  }

  return { failure, isBusy, attempt }
}

/** Asks before what cannot be undone is done. */
export function useSure() {
  const { t } = useI18n()
  return (text: string, button: string): Promise<boolean> =>
    ElMessageBox.confirm(text, {
      ...{ confirmButtonText: button, cancelButtonText: t('cancel'), type: 'warning' },
    }).then(
      () => true,
      () => false,
    )
}

/** The same for a page that shows the words alone, and asks anew when it is done: `after`. */
export function useDeed(after: () => unknown) {
  const { failure: thrown, isBusy, attempt } = useAttempt()
  const failure = computed({
    get: () => (thrown.value === null ? '' : (thrown.value as Error).message),
    // Pages take it away, and say nothing of their own in it.
    set: (_none: '') => {
      thrown.value = null
    },
  })
  const act = (work: () => Promise<unknown>): Promise<boolean> =>
    attempt(async () => {
      await work()
      await after()
    })
  return { failure, isBusy, act, sure: useSure() }
}
