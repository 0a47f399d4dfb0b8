import type { Chained, Head } from './chain.ts'

const mostTries = 10

/** An incident and its lines as of one moment: read again where somebody wrote between the two. */
export async function readWhole<F extends { head: Head }>(
  find: () => Promise<F>,
  readLines: () => Promise<Chained[]>,
): Promise<F & { lines: Chained[] }> {
  let before = await find()
  for (let tries = 1; ; tries++) {
    const lines = await readLines()
    const after = await find()
    if (after.head.seq === before.head.seq || tries === mostTries) return { ...after, lines }
    before = after
  }
}
