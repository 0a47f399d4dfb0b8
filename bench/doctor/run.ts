/** `npm run bench -- doctor`: how long the doctor takes over every fault of the fault bench. Needs GATEHOUSE_TEST_POSTGRES_URL, openssl, redis-server, and root for disks. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { openFaultBench } from '../../test/faults/bench.ts'
import { faults } from '../../test/faults/faults.ts'
import { providePostgres } from '../../test/harness/services.ts'

const given = process.env.GATEHOUSE_TEST_POSTGRES_URL ?? ''
const provided = given === '' ? await providePostgres() : null
if (provided !== null && 'missing' in provided) throw new Error(provided.missing)
const opened = await openFaultBench(given || provided!.service.url)
const took: { name: string; ms: number }[] = []
try {
  for (const { name, make } of faults) {
    const { args = [], env = {} } = await make(opened.bench)
    // Everything at once, as an operator asks it, and not only the area of the fault.
    const all = args.filter((each, index) => each !== '--only' && args[index - 1] !== '--only')
    took.push({ name, ms: (await opened.look({ args: all, env })).tookMs })
    await opened.unmake()
  }
} finally {
  await opened.end()
  if (provided !== null) await provided.service.destroy()
}
took.sort((a, b) => a.ms - b.ms)
const at = (share: number) => took[Math.min(took.length - 1, Math.floor(share * took.length))]!.ms
const result = {
  faults: took.length,
  p50Ms: at(0.5),
  p95Ms: at(0.95),
  mostMs: took.at(-1)!.ms,
  slowest: took.at(-1)!.name,
}
const machine = { machine: `${cpus()[0]?.model}, ${availableParallelism()} cores`, load: loadavg()[0]!.toFixed(1) }
mkdirSync(new URL('results/', import.meta.url), { recursive: true })
writeFileSync(
  new URL('results/latest.json', import.meta.url),
  `${JSON.stringify({ ...machine, ...result }, null, 2)}\n`,
)
console.log(
  `${took.length} faults, all findings each: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${took.at(-1)!.ms} ms (${took.at(-1)!.name})`,
)
