import { ElMessageBox } from 'element-plus'
import { ref } from 'vue'
import { useI18n } from 'vue-i18n'

/** Something that is done on a page: what the hub says against it stands in `failure`; `after` reads anew. */
export function useDeed(after: () => unknown) {
  const { t } = useI18n()
  const failure = ref('')
  const isBusy = ref(false)

  async function act(work: () => Promise<unknown>): Promise<boolean> {
    failure.value = ''
    isBusy.value = true
    try {
      await work()
      await after()
      return true
    } catch (error) {
      failure.value = (error as Error).message
      return false
    } finally {
      isBusy.value = false
    }
  }

  /** Asks before what cannot be undone is done. */
  const sure = (text: string, button: string): Promise<boolean> =>
    ElMessageBox.confirm(text, {
      ...{ confirmButtonText: button, cancelButtonText: t('cancel'), type: 'warning' },
    }).then(
      () => true,
      () => false,
    )

  return { failure, isBusy, act, sure }
}
