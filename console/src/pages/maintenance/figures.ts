import { brief, count, milliseconds } from '../../format.ts'

/** A figure of a job with its unit, which the end of its name says. */
export function figureText(name: string, value: number, dayUnit: string): string {
  if (/_per_day$/.test(name)) return `${brief(value)} / ${dayUnit}`
  if (/(?:^|_)bytes$/.test(name)) return `${brief(value)}B`
  if (/percent/.test(name)) return `${count(value)} %`
  if (/seconds/.test(name)) return milliseconds(value * 1000)
  if (/_days$/.test(name)) return `${count(value)} ${dayUnit}`
  if (/_hours$/.test(name)) return milliseconds(value * 3_600_000)
  return count(value)
}
