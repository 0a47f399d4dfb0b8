import { createRequire } from 'node:module'

const read = createRequire(import.meta.url)

/** The version of package.json. */
export const version: string = (read('../package.json') as { version: string }).version
