import { computed, nextTick, onBeforeUnmount, onMounted, type Ref, ref, shallowRef, watch } from 'vue'

/** Up to so many rows a table simply has them all. */
const whole = 200
/** Rows that stand above and below those in view, so that a turn of the wheel finds them there. */
const around = 16

/**
 * The rows of a long table that stand in the page: those in view and some around, of one height each. `setBody` takes the tbody
 * they stand in, `before` and `after` are the pixels of what does not; a row's `aria-rowindex` is its place, the head's is 1.
 */
export function useRowWindow<T>(rows: Ref<readonly T[]>) {
  const body = shallowRef<HTMLTableSectionElement>()
  const [from, to, rowPx] = [ref(0), ref(2 * around), ref(0)]
  const isLong = computed(() => rows.value.length > whole)
  const shown = computed(() => {
    const first = isLong.value ? from.value : 0
    const some = isLong.value ? rows.value.slice(first, to.value) : rows.value
    // A row that comes takes the elements of one that went: to write text anew is cheaper than to make them. One that stays keeps its own.
    const places = 2 ** Math.ceil(Math.log2(Math.max(1, some.length)))
    return some.map((row, index) => ({ row, at: first + index, place: (first + index) % places }))
  })
  const before = computed(() => (isLong.value ? from.value * rowPx.value : 0))
  const after = computed(() => (isLong.value ? Math.max(0, rows.value.length - to.value) * rowPx.value : 0))

  let isGoing = false
  function look() {
    const place = body.value
    if (place === undefined || !isLong.value || isGoing) return
    const rowHeight = place.rows[0]?.getBoundingClientRect().height ?? 0
    if (rowHeight > 0) rowPx.value = rowHeight
    if (rowPx.value === 0) return
    const { top, bottom } = seenOf(place)
    const start = place.getBoundingClientRect().top - before.value
    const first = Math.floor((top - start) / rowPx.value)
    const last = Math.ceil((bottom - start) / rowPx.value)
    const isThere = from.value <= Math.max(0, first - 4) && to.value >= Math.min(rows.value.length, last + 4)
    if (!isThere) turnTo(first - around, last + around)
  }

  function turnTo(first: number, last: number) {
    const end = Math.min(rows.value.length, Math.max(last, 2 * around))
    const begin = Math.max(0, Math.min(first, end - 2 * around))
    leave(begin, end)
    ;[from.value, to.value] = [begin, end]
  }

  /** A focus that goes with its row would be nowhere: it stays with the table. */
  function leave(begin: number, end: number) {
    const row = rowOf(document.activeElement)
    if (row !== null && (row < begin || row >= end)) {
      body.value?.closest<HTMLElement>('[tabindex]')?.focus({ preventScroll: true })
    }
  }

  const rowOf = (element: Element | null): number | null => {
    const row = element?.closest('tr[aria-rowindex]')
    return row != null && body.value?.contains(row) === true ? Number(row.getAttribute('aria-rowindex')) - 2 : null
  }

  /** Arrows go from row to row, Home and End to the first and the last, whether these stand in the page or not. */
  async function onKey(event: KeyboardEvent) {
    const at = rowOf(event.target as Element)
    if (at === null) return
    const steps: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.value.length - 1 }
    const next = steps[event.key]
    if (next === undefined || next < 0 || next >= rows.value.length) return
    event.preventDefault()
    // What is in view is not yet what is gone to: that comes with the focus.
    isGoing = true
    if (isLong.value && (next < from.value || next >= to.value)) turnTo(next - around, next + around)
    await nextTick()
    body.value?.querySelector<HTMLElement>(`tr[aria-rowindex="${next + 2}"] :is(a, button)`)?.focus()
    isGoing = false
    look()
  }

  // Columns are as wide as the widest row that was seen: they do not jump while rows come and go.
  function holdWidths() {
    const head = isLong.value ? body.value?.closest('table')?.tHead : undefined
    const cells = [...(head?.rows[0]?.cells ?? [])]
    const widths = cells.map(({ offsetWidth }) => offsetWidth)
    for (const [index, cell] of cells.entries()) {
      const wanted = `${widths[index]}px`
      if (cell.style.minWidth !== wanted) cell.style.minWidth = wanted
    }
  }
  function onResize() {
    for (const cell of body.value?.closest('table')?.tHead?.rows[0]?.cells ?? []) cell.style.minWidth = ''
    look()
  }

  watch(
    [shown, body],
    () => {
      look()
      holdWidths()
    },
    { flush: 'post' },
  )
  onMounted(() => {
    // What scrolls is not always the table's own box; the event does not bubble, it is caught on its way down.
    document.addEventListener('scroll', look, { capture: true, passive: true })
    window.addEventListener('resize', onResize)
  })
  onBeforeUnmount(() => {
    document.removeEventListener('scroll', look, { capture: true })
    window.removeEventListener('resize', onResize)
  })

  const setBody = (element: unknown) => {
    body.value = element instanceof HTMLTableSectionElement ? element : undefined
  }
  return { setBody, shown, before, after, onKey }
}

/** Top and bottom of what can be seen of an element, in the window. */
function seenOf(element: HTMLElement): { top: number; bottom: number } {
  let [top, bottom] = [0, window.innerHeight]
  for (let box = element.parentElement; box !== null; box = box.parentElement) {
    if (getComputedStyle(box).overflowY === 'visible') continue
    const rect = box.getBoundingClientRect()
    ;[top, bottom] = [Math.max(top, rect.top), Math.min(bottom, rect.bottom)]
  }
  return { top, bottom }
}
