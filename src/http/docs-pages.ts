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
    if (page.headers.location !== undefined) reply.header('location', String(page.headers.location))
    if (request.url.endsWith('.js')) reply.header('cache-control', 'public, max-age=3600')
    return reply.send(page.rawPayload)
  }
  const schema = { hide: true }
  app.route({ method: 'GET', url: '/docs/', schema, handler })
  app.route({ method: 'GET', url: '/docs/js/scalar.js', schema, handler })
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
