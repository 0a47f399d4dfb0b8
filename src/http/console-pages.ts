import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

/** The built console: its one page, and the folder of what that page loads. */
export type ConsoleFiles = { page: string; folder: string }

/**
 * The page runs scripts of its own files only. Its components and charts write styles into elements, which only
 * 'unsafe-inline' allows; a style can run nothing.
 */
export const consolePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
].join('; ')

/** What the console loads, below /assets, named by its contents: kept by browsers for ever. */
export async function mountConsole(app: FastifyInstance, { folder }: ConsoleFiles): Promise<void> {
  await app.register(fastifyStatic, {
    root: `${folder}/assets`,
    prefix: '/assets/',
    decorateReply: false,
    index: false,
    preCompressed: true,
    immutable: true,
    maxAge: '365d',
    schemaHide: true,
  })
  const schema = { hide: true }
  app.route({
    method: 'GET',
    url: '/favicon.svg',
    schema,
    handler: (_, reply) => reply.header('cache-control', 'public, max-age=86400').type('image/svg+xml').send(icon),
  })
  // Seed 001's page; `..` keeps it below whatever path a proxy gives the hub.
  app.route({
    method: 'GET',
    url: '/admin-ui/login.html',
    schema,
    handler: (_, reply) => reply.redirect('../#/login', 302),
  })
}

const icon =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#2f6fde" d="M4 6h4v3h4V6h8v3h4V6h4v22h-8v-8a4 4 0 0 0-8 0v8H4z"/></svg>'
