/**
 * First segments below /api that are the contract's, whether or not this version has routes there: a plugin that took
 * one today would be shut out by the version that brings the route.
 */
export const contractNames: readonly string[] = [
  ...['registry', 'gateway', 'admin', 'api', 'v1', 'v2', 'auth', 'tenants', 'users', 'keys', 'audit', 'health'],
  ...['providers', 'models', 'model-providers', 'routes', 'logs', 'prices', 'limits', 'budgets', 'stats', 'export'],
  ...['sources', 'sessions', 'risk', 'metrics', 'system', 'alerts', 'alert-rules', 'silences', 'channels'],
  ...['deliveries', 'hooks', 'incidents', 'sla', 'on-call', 'runbooks', 'doctor', 'config', 'backups', 'maintenance'],
  ...['services', 'invitations', 'service-accounts', 'mirrors', 'cache', 'receivers', 'checks', 'check-types'],
  ...['channel-types', 'alert-hooks', 'deletion-receipts', 'conversation-settings', 'provider-types', 'status-page'],
  ...['badge', 'push', 'check-spend'],
]
