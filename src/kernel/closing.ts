/** What is to be closed, in the order in which it was opened. */
export type Closers = (() => Promise<unknown> | unknown)[]

/** Last opened, first closed; what fails to close does not keep the rest open. Rejects with an AggregateError of failures. */
export async function closeAll(closers: Closers): Promise<void> {
  const failures: unknown[] = []
  for (const close of closers.splice(0).reverse()) {
    try {
      await close()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'some parts did not close')
}
