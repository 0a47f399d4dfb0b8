import { renderCli } from './cli.ts'
import { renderConsolePackages } from './console-packages.ts'
import { renderConsoleTypes } from './console-types.ts'
import { renderErrors } from './errors.ts'
import { renderExample } from './example.ts'
import { renderFailures } from './failures.ts'
import { renderSettings } from './settings.ts'

/** Every generated file: its path from the repository's root, and what has to stand in it. */
export const pages: readonly { path: string; render(): string | Promise<string> }[] = [
  { path: 'gatehouse.example.toml', render: renderExample },
  { path: 'docs/reference/settings.md', render: renderSettings },
  { path: 'docs/reference/errors.md', render: renderErrors },
  { path: 'docs/reference/cli.md', render: renderCli },
  { path: 'console/src/pages/about/packages.ts', render: renderConsolePackages },
  { path: 'console/src/operations.ts', render: renderConsoleTypes },
  { path: 'docs/reference/failures.md', render: renderFailures },
]
