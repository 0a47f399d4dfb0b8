import type { Loaded } from '../config.ts'
import { readTextIfPresent } from '../platform/files.ts'
import { masterKeyPath } from '../platform/secrets.ts'

/** Where the configuration is, and how the master key's text is had: for backups that a recovery key opens. */
export function keptFiles({ config, file }: Pick<Loaded, 'config'> & Partial<Pick<Loaded, 'file'>>, secretKey: string) {
  return {
    configurationPath: file ?? null,
    masterKey: () => secretKey || readTextIfPresent(masterKeyPath(config.data.dir)),
  }
}
