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
  /** Plugin services an API key may call: names, or beginnings that end in `*`; `null` means all. */
  allowedServices: readonly string[] | null
  /** Paths of this hub an API key may ask, such as `/v1/embeddings` or `/v1/*`; `null` means all. */
  allowedEndpoints: readonly string[] | null
  /** The plugin service whose own credential this is, '' for everybody else. */
  service: string
  /** Addresses and CIDR blocks an API key may come from; absent or `null` means anywhere. */
  allowedIps?: readonly string[] | null
  /** Keys of a service account: the account, which is also their `userId`. */
  serviceAccountId?: string
}

/** Whether `principal` may use `model`: by exact name, or by an entry such as `gpt-4o*`. */
export function mayUseModel(principal: Principal, model: string): boolean {
  return isListed(principal.allowedModels, model)
}

/** Whether `principal` may call the plugin service `name`. */
export function mayUseService(principal: Principal, name: string): boolean {
  return isListed(principal.allowedServices, name)
}

/** Whether `principal` may ask for `path`, without its query. */
export function mayUseEndpoint(principal: Principal, path: string): boolean {
  return isListed(principal.allowedEndpoints, path)
}

function isListed(entries: readonly string[] | null, name: string): boolean {
  if (entries === null) return true
  return entries.some((entry) => (entry.endsWith('*') ? name.startsWith(entry.slice(0, -1)) : entry === name))
}
