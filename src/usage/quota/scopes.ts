/** What a limit or a budget can be of, and how long a budget lasts. */
export const limitScopes = ['key', 'user', 'tenant', 'provider', 'ip'] as const
export const budgetScopes = ['key', 'user', 'tenant', 'tag', 'provider'] as const
export const budgetPeriods = ['day', 'month'] as const

export type LimitScope = (typeof limitScopes)[number]
export type BudgetScope = (typeof budgetScopes)[number]
export type BudgetPeriod = (typeof budgetPeriods)[number]
