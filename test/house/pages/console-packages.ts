import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from '../imports.ts'

type Locked = { version?: string; license?: string; dev?: boolean; link?: boolean; optional?: boolean }

/** The packages that the hub and its console run with, and their licences, as the lock file has them. */
export function renderConsolePackages(): string {
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>
  }
  const rows = Object.entries(packages)
    .filter(([place, { dev, link }]) => place.includes('node_modules/') && dev !== true && link !== true)
    .map(([place, { version = '', license = '' }]) => [place.split('node_modules/').at(-1)!, version, license] as const)
  const lines = rows.map((row) => `  [${row.map((text) => `'${text.replaceAll("'", "\\'")}'`).join(', ')}],`)
  return [
    '/** Generated from package-lock.json by `npm run docs`: name, version, licence. */',
    'export const packages: readonly (readonly [name: string, version: string, licence: string])[] = [',
    ...[...new Set(lines)].sort(),
    ']\n',
  ].join('\n')
}
