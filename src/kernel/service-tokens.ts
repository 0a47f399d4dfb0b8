/** The keys by which plugin services are known: API keys whose principal has `service`. */
export type ServiceTokens = {
  /** Makes a service's own token and tells its text, this once. It opens models and the registry, nothing else. */
  issue(wish: {
    tenantId: string
    service: string
    allowedModels: string[] | null
    /** Whoever registered the service; the token is not theirs and stays when they go. */
    createdBy: string
  }): Promise<{ keyId: string; text: string }>
  /** Gone for good: refused here at once, on other nodes within two seconds. One that is gone already is no error. */
  revoke(keyId: string): Promise<void>
}
