export type DiffLine = { kind: 'same' | 'added' | 'removed'; text: string }

/** More than this many pairs of lines are not compared one by one: it would hold the page up. */
const mostPairs = 4_000_000

/** Lines of two texts in one list: what stays, what goes, what comes. */
export function diffLines(before: string, after: string): DiffLine[] {
  const [old, young] = [before.split('\n'), after.split('\n')]
  let start = 0
  while (start < old.length && start < young.length && old[start] === young[start]) start++
  let [oldEnd, youngEnd] = [old.length, young.length]
  while (oldEnd > start && youngEnd > start && old[oldEnd - 1] === young[youngEnd - 1]) {
    oldEnd--
    youngEnd--
  }
  const same = (lines: readonly string[]) => lines.map((text): DiffLine => ({ kind: 'same', text }))
  return [
    ...same(old.slice(0, start)),
    ...between(old.slice(start, oldEnd), young.slice(start, youngEnd)),
    ...same(old.slice(oldEnd)),
  ]
}

/** By the longest common run of lines, which is what people take a change for. */
function between(old: readonly string[], young: readonly string[]): DiffLine[] {
  const removed = old.map((text): DiffLine => ({ kind: 'removed', text }))
  const added = young.map((text): DiffLine => ({ kind: 'added', text }))
  if (old.length * young.length > mostPairs) return [...removed, ...added]
  const width = young.length + 1
  const longest = new Uint32Array((old.length + 1) * width)
  for (let row = old.length - 1; row >= 0; row--) {
    for (let column = young.length - 1; column >= 0; column--) {
      longest[row * width + column] =
        old[row] === young[column]
          ? longest[(row + 1) * width + column + 1]! + 1
          : Math.max(longest[(row + 1) * width + column]!, longest[row * width + column + 1]!)
    }
  }
  const lines: DiffLine[] = []
  let [row, column] = [0, 0]
  while (row < old.length || column < young.length) {
    const isSame = row < old.length && column < young.length && old[row] === young[column]
    if (isSame) {
      lines.push({ kind: 'same', text: old[row]! })
      row++
      column++
    } else if (
      row < old.length &&
      (column === young.length || longest[(row + 1) * width + column]! >= longest[row * width + column + 1]!)
    ) {
      lines.push(removed[row]!)
      row++
    } else {
      lines.push(added[column]!)
      column++
    }
  }
  return lines
}
