/** Under which name the spending of a budget in one period is counted, on every node and by every program. */
export function budgetCounterKey(budgetId: string, periodStartsAt: number): string {
  return `budget:${budgetId}:${periodStartsAt}`
}
