import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '../../kernel/clock.ts'
import type { Upstreams } from '../../platform/fetch.ts'
import { probes } from './index.ts'
import { type Finding, type ProbeContext, toFinding } from './probe.ts'

/** A certificate of our own for localhost, good from `fromDays` to `toDays` from now. */
export function certificate(folder: string, name: string, fromDays: number, toDays: number) {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '')
  const csr = join(folder, `${name}.csr`)
  const quiet = { stdio: 'ignore' } as const
  execFileSync(
    'openssl',
    ['req', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', csr, '-subj', '/CN=localhost'],
    quiet,
  )
  const ca = join(folder, `${name}.ca`)
  execFileSync('sh', [
    '-c',
    `mkdir -p ${ca}/new && : > ${ca}/index && echo 01 > ${ca}/serial && printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=${ca}/index\\nnew_certs_dir=${ca}/new\\nserial=${ca}/serial\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n' > ${ca}/c`,
  ])
  execFileSync(
    'openssl',
    [
      'ca',
      '-batch',
      '-selfsign',
      '-config',
      join(ca, 'c'),
      '-keyfile',
      key,
      '-in',
      csr,
      '-out',
      cert,
      '-startdate',
      at(fromDays),
      '-enddate',
      at(toDays),
    ],
    quiet,
  )
  return { key: readFileSync(key), cert: readFileSync(cert, 'utf8').replace(/^[\s\S]*?-----BEGIN/, '-----BEGIN') }
}

/** Runs a check once, with a hub around it that knows nothing unless `change` says so. */
export async function runProbe(
  way: Upstreams,
  type: string,
  parameters: object,
  change: Partial<ProbeContext> = {},
): Promise<Finding> {
  const probe = probes.find((each) => each.type === type)!
  const context: ProbeContext = {
    ...{ way, clock: systemClock, timeoutMs: 700, createdAt: Date.now(), lastPush: null },
    service: () => null,
    provider: () => null,
    askProvider: async () => {},
    own: () => null,
    stalled: () => [],
    ...change,
  }
  try {
    return await probe.run(probe.parameters.parse(parameters), context)
  } catch (thrown) {
    return toFinding(thrown)
  }
}
