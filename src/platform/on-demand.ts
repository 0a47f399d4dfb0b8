import { createRequire } from 'node:module'

/**
 * Packages that many hubs never use, loaded by who needs them first: a hub on SQLite, on one node, without mail, would
 * else hold 10 MB of them. Loading takes some tens of milliseconds, once.
 */
const load = createRequire(import.meta.url)

export const loadPg = (): typeof import('pg') => load('pg')
export const loadPgCursor = (): typeof import('pg-cursor') => load('pg-cursor')
export const loadIoredis = (): typeof import('ioredis') => load('ioredis')
export const loadMysql = (): typeof import('mysql2/promise') => load('mysql2/promise')
export const loadNodemailer = (): typeof import('nodemailer') => load('nodemailer')
export const loadPretty = (): typeof import('pino-pretty') => load('pino-pretty')

/**
 * Of undici only the pools: its other half is a `fetch`, a cache and mocks, 6 MB that nobody here uses. Its index is what
 * gives a pool its `request`.
 */
export const UndiciPool = load('undici/lib/dispatcher/pool.js') as typeof import('undici').Pool
export const undiciConnector = load('undici/lib/core/connect.js') as typeof import('undici').buildConnector
/** All of it, for a way out through a proxy. */
export const loadUndici = (): typeof import('undici') => load('undici')
const { prototype } = load('undici/lib/dispatcher/dispatcher.js') as { prototype: { request: unknown } }
prototype.request = load('undici/lib/api/api-request.js')
