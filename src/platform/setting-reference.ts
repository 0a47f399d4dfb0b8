import { readFileSync } from 'node:fs'
import { fail } from '../kernel/errors.ts'

const largestBytes = 64 * 1024

/**
 * A value that may stand elsewhere than in the settings: `env:NAME` is that variable, `file:/path` the first line of that
 * file, as secrets of containers are mounted; everything else is the value itself. What is not there throws
 * `invalid_request` that names `param`, the setting it is for.
 */
export function readReference(text: string, param: string): string {
  const [, kind, place = ''] = /^(env|file):(.+)$/.exec(text) ?? []
  if (kind === undefined) return text
  const value = kind === 'env' ? process.env[place] : readFirstLine(place, param)
  if (value) return value
  const what = kind === 'env' ? `The variable ${place} is not set` : `The file ${place} is empty`
  throw fail('invalid_request', `${what}, and ${param} refers to it.`, { param })
}

function readFirstLine(path: string, param: string): string {
  try {
    return readFileSync(path).subarray(0, largestBytes).toString('utf8').split(/\r?\n/, 1)[0]!.trim()
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code
    throw fail('invalid_request', `The file ${path}, which ${param} refers to, cannot be read (${reason}).`, {
      param,
      cause,
    })
  }
}
