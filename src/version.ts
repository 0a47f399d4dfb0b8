import { createRequire } from 'node:module'

const read = createRequire(import.meta.url)
const manifest = read('../package.json') as { version: string; dependencies: Record<string, string> }

/** The version of package.json. */
export const version: string = manifest.version

/** Where the program lies. */
export const programFolder: string = new URL('../', import.meta.url).pathname

/** What package.json needs at run time. */
export const packages: readonly string[] = Object.keys(manifest.dependencies)
