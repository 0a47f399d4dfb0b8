import { statSync } from 'node:fs'
import { readTextIfPresent } from '../files.ts'

type Lock = { packages?: Record<string, { version?: string; dev?: boolean; link?: boolean }> }

const root = new URL('../../../', import.meta.url).pathname

/** Packages that are installed beside the hub, without those for its development; null where npm has not installed them. */
export function listInstalledPackages(): { name: string; version: string }[] | null {
  // npm keeps a list of what it really installed.
  const text =
    readTextIfPresent(`${root}node_modules/.package-lock.json`) ?? readTextIfPresent(`${root}package-lock.json`)
  if (text === null) return null
  return Object.entries((JSON.parse(text) as Lock).packages ?? {}).flatMap(([path, { version, dev, link }]) => {
    const name = path.split('node_modules/').at(-1) ?? ''
    return name === '' || version === undefined || dev === true || link === true ? [] : [{ name, version }]
  })
}

/** When a file was last written, in epoch ms; null when there is none. */
export function readChangeTime(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null
}
