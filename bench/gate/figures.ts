import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** One number of a bench that says the same on another machine, or nearly so: a ratio, or memory. */
export type Figure = {
  /** Of which bench, and what. Both name it. */
  bench: string
  name: string
  value: number
  better: 'less' | 'more'
  /** What it is to be; absent where nobody has said. */
  goal?: number
  /** Share by which two runs of the same program differ. */
  noise: number
}

type Reader = { bench: string; read(results: never): Figure[] }

const benches = fileURLToPath(new URL('..', import.meta.url))

/** Benches whose figures the gate holds, by the file each leaves in its results. */
const readers: readonly Reader[] = [
  {
    bench: 'gateway',
    read: ({ goals }: { goals: { name: string; scenario: string; wanted: string; measured: { median: number } }[] }) =>
      goals.map(({ name, scenario, wanted, measured }) => ({
        ...{ bench: 'gateway', name: `${name}: ${scenario}`, value: measured.median, noise: 0.2 },
        ...{ better: wanted.startsWith('≥') ? 'more' : 'less', goal: Number(wanted.slice(2)) },
      })),
  },
  {
    bench: 'services',
    read: ({ goal, rows }: { goal: number; rows: { scenario: string; ratio: number }[] }) =>
      rows.map(({ scenario, ratio }) => ({
        ...{
          bench: 'services',
          name: `proxy / baseline, CPU: ${scenario}`,
          value: ratio,
          better: 'less',
          goal,
          noise: 0.2,
        },
      })),
  },
  {
    bench: 'workers',
    read: ({ rows }: { rows: { scenario: string; subject: string; ratio: number; cpuRatio: number }[] }) =>
      rows
        .filter(({ subject }) => subject.startsWith('two'))
        .flatMap(({ scenario, subject, ratio, cpuRatio }) => [
          {
            ...{ bench: 'workers', name: `answers, ${subject} / one: ${scenario}`, value: ratio },
            ...{ better: 'more', goal: 1.5, noise: 0.2 },
          },
          {
            ...{ bench: 'workers', name: `CPU a call, ${subject} / one: ${scenario}`, value: cpuRatio },
            ...{ better: 'less', noise: 0.2 },
          },
        ]),
  },
  {
    bench: 'memory',
    read: ({ goals }: { goals: { name: string; atMost: number; measured: number }[] }) =>
      goals.map(({ name, atMost, measured }) => ({
        ...{ bench: 'memory', name, value: measured, better: 'less', goal: atMost, noise: 0.1 },
      })),
  },
  {
    bench: 'checks',
    read: ({ goals, measured }: { goals: Record<string, number>; measured: Record<string, number>[] }) =>
      Object.entries(goals).map(([name, goal]) => ({
        ...{ bench: 'checks', name: `500 checks, 200 series: ${name}`, value: round(measured.at(-1)![name]!) },
        ...{ better: 'less', goal, noise: 0.1 },
      })),
  },
] as readonly Reader[]

/** The figures of the last run of each bench. Throws when one has left none, or others than it should. */
export function readFigures(): Figure[] {
  return readers.flatMap(({ bench, read }) => {
    const figures = read(JSON.parse(readFileSync(`${benches}${bench}/results/latest.json`, 'utf8')) as never)
    const broken = figures.find(({ value }) => !Number.isFinite(value))
    if (broken !== undefined || figures.length === 0) {
      throw new Error(
        `bench/${bench}/results/latest.json lacks ${broken?.name ?? 'figures'}: npm run bench -- ${bench}`,
      )
    }
    return figures
  })
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
