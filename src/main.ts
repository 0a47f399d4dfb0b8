import { takeEntrance } from './platform/processes/entrance.ts'
import { version } from './version.ts'

// Whoever reads only the first lines (`… | head`) has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

// Nothing is imported above that a part of a node would hold without needing it.
switch (takeEntrance(process.env)) {
  case 'supervisor':
    process.exitCode = await (await import('./cli/supervise.ts')).supervise()
    break
  case 'worker':
    process.exitCode = await (await import('./cli/work.ts')).work(process.argv, process.env)
    break
  case 'command':
    process.exitCode = await (await import('./cli/run.ts')).runCli(
      process.argv.slice(2),
      {
        out: (text) => process.stdout.write(`${text}\n`),
        err: (text) => process.stderr.write(`${text}\n`),
        env: process.env,
      },
      version,
    )
}
