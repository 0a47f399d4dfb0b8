import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Route } from './route.ts'

/** What @fastify/swagger needs to describe the mounted routes. */
export function openapiOptions(version: string) {
  return {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Gatehouse', version, description: 'The control API of a Gatehouse hub.' },
      components: {
        securitySchemes: {
          bearer: { type: 'http' as const, scheme: 'bearer', description: 'A session token, or ADMIN_KEY' },
          serviceToken: {
            type: 'http' as const,
            scheme: 'bearer',
            description: 'The token that registering a plugin service gave',
          },
          adminKey: { type: 'apiKey' as const, in: 'header' as const, name: 'X-Admin-Key' },
        },
      },
    },
    // Fastify writes a rest parameter as `*`; the document shows it by its name.
    transform: (document: Parameters<typeof jsonSchemaTransform>[0]) => {
      const { openapiPath } = (document.route.config ?? {}) as { openapiPath?: string }
      return jsonSchemaTransform({ ...document, url: openapiPath ?? document.url })
    },
  }
}

/** What opens a route that is not public. */
export function securityOf(access: Exclude<Route['access'], 'public'>): Record<string, string[]>[] {
  const people = [{ bearer: [] }, { adminKey: [] }]
  return access === 'service' ? [{ serviceToken: [] }, ...people] : people
}

export const problemReply = {
  description: 'Problem details (RFC 9457)',
  content: {
    'application/problem+json': {
      schema: z.object({
        type: z.string(),
        title: z.string(),
        status: z.number(),
        detail: z.string(),
        code: z.string(),
        request_id: z.string(),
        trace_id: z.string(),
        errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
      }),
    },
  },
}
