export const roles = ['super_admin', 'tenant_admin', 'user'] as const
export type Role = (typeof roles)[number]

/** Who is calling: a person with a session, the holder of ADMIN_KEY, or an API key. */
export type Principal = {
  kind: 'user' | 'admin_key' | 'api_key'
  /** `usr_…` for people, `key_…` for API keys, `admin` for ADMIN_KEY. */
  id: string
  role: Role
  tenantId: string
  userId: string
  /** API keys only: the id and name under which usage is recorded, else ''. */
  keyId: string
  keyName: string
  /** Models an API key may use; `null` means all. Entries are exact names or end in `*`. */
  allowedModels: readonly string[] | null
  /** Requests a minute an API key may make; `null` means no limit. */
  rateLimit: number | null
  /** Tokens a minute, input and output together; `null` means no limit. */
  tokenLimit: number | null
  /** Calls at the same time; `null` means no limit. */
  concurrencyLimit: number | null
  /** What an API key's usage is sorted by besides its owner; budgets may stand on a tag. */
  tags: readonly string[]
}

/** Whether `principal` may use `model`: by exact name, or by an entry such as `gpt-4o*`. */
export function mayUseModel(principal: Principal, model: string): boolean {
  if (principal.allowedModels === null) return true
  return principal.allowedModels.some((entry) =>
    entry.endsWith('*') ? model.startsWith(entry.slice(0, -1)) : entry === model,
  )
}
