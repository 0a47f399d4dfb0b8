import { createHash } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'

/**
 * The API reference for people at /docs, served from this machine alone. Scalar is 4 MB of script: it is loaded when
 * somebody first opens the page.
 */
export function mountDocs(app: FastifyInstance, documentUrl: string): void {
  let loading: Promise<FastifyInstance> | undefined
  const handler = async (request: { url: string }, reply: import('fastify').FastifyReply) => {
    // The page names its script relative to itself.
    if (/^\/docs(?:\?|$)/.test(request.url)) return reply.redirect('/docs/', 302)
    loading ??= loadScalar(documentUrl)
    const pages = await loading
    const page = await pages.inject({ method: 'GET', url: request.url, headers: { host: 'localhost' } })
    reply.code(page.statusCode).header('content-type', page.headers['content-type'] ?? 'text/plain')
    if (!request.url.includes('.js')) reply.header('content-security-policy', policyOf(page.payload))
    if (page.headers.location !== undefined) reply.header('location', String(page.headers.location))
    if (request.url.endsWith('.js')) reply.header('cache-control', 'public, max-age=3600')
    return reply.send(page.rawPayload)
  }
  const schema = { hide: true }
  app.route({ method: 'GET', url: '/docs/', schema, handler })
  app.route({ method: 'GET', url: '/docs/js/scalar.js', schema, handler })
}

/**
 * The page may run its own script and the one line in it that starts it, known by its hash, and talk to nobody but the
 * hub. Scalar writes styles into its elements, which only 'unsafe-inline' allows.
 */
function policyOf(html: string): string {
  const hashes = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(
    ([, script]) => `'sha256-${createHash('sha256').update(script!).digest('base64')}'`,
  )
  return [
    "default-src 'none'",
    `script-src 'self' ${hashes.join(' ')}`.trim(),
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self' blob:",
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  ].join('; ')
}

async function loadScalar(documentUrl: string): Promise<FastifyInstance> {
  const { default: scalar } = await import('@scalar/fastify-api-reference')
  const pages = Fastify()
  await pages.register(scalar, {
    routePrefix: '/docs',
    // Nothing may be fetched from elsewhere: neither fonts nor a request proxy nor the vendor's assistant.
    configuration: {
      url: documentUrl,
      withDefaultFonts: false,
      telemetry: false,
      agent: { disabled: true },
      hideClientButton: true,
      pageTitle: 'Gatehouse API',
    },
  })
  await pages.ready()
  return pages
}
