/** Older spellings of control paths: `/admin/x` and `/api/admin/x` are `/api/x`, `/auth/x` is `/api/auth/x`. */
export function rewriteAlias(url: string): string {
  if (url.startsWith('/api/admin/')) return `/api/${url.slice(11)}`
  if (url.startsWith('/admin/')) return `/api/${url.slice(7)}`
  if (url.startsWith('/auth/')) return `/api${url}`
  return url
}
