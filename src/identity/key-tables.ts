import type { Transaction } from 'kysely'

export type KeyTables = {
  api_keys: {
    id: string
    name: string
    key_hash: string
    last_four: string
    tenant_id: string
    /** '' for keys of service accounts, of plugin services and those made with ADMIN_KEY. */
    user_id: string
    /** '' or the account whose key this is. */
    service_account_id: string
    /** '' or the plugin service whose own token this is. */
    service: string
    /** The four lists are JSON arrays; '' allows everything. */
    allowed_models: string
    allowed_services: string
    allowed_endpoints: string
    allowed_ips: string
    rate_limit: number | null
    tpm_limit: number | null
    concurrency_limit: number | null
    /** A JSON array of texts, '' for none. */
    tags: string
    enabled: number
    expires_at: number | null
    created_at: number
    updated_at: number
    last_used_at: number | null
    rotated_at: number | null
  }
  /** Texts that a rotation replaced and that open the same key until their grace ends. */
  api_key_old_texts: { key_hash: string; key_id: string; last_four: string; expires_at: number }
  service_accounts: {
    id: string
    tenant_id: string
    name: string
    description: string
    owner_id: string
    enabled: number
    created_at: number
    updated_at: number
  }
}

/** Removes keys with every text of theirs, in the transaction of whatever they go with. */
export async function deleteKeys(
  // biome-ignore lint/suspicious/noExplicitAny: the transaction is over more tables than these
  transaction: Transaction<any>,
  of: { id: string } | { userId: string } | { serviceAccountId: string },
): Promise<void> {
  const trx = transaction as Transaction<KeyTables>
  const [column, value] =
    'id' in of
      ? (['id', of.id] as const)
      : 'userId' in of
        ? (['user_id', of.userId] as const)
        : (['service_account_id', of.serviceAccountId] as const)
  await trx
    .deleteFrom('api_key_old_texts')
    .where('key_id', 'in', trx.selectFrom('api_keys').select('id').where(column, '=', value))
    .execute()
  await trx.deleteFrom('api_keys').where(column, '=', value).execute()
}
