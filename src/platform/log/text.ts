import { loadPretty } from '../on-demand.ts'

/** pino-pretty knows levels by their numbers. */
const numbers: Readonly<Record<string, number>> = { DEBUG: 20, INFO: 30, WARNING: 40, ERROR: 50, CRITICAL: 60 }

/** Makes the verb that turns a line of JSON into one for a person at a terminal. */
export function createTextWriter(): (line: string) => string {
  const toText = loadPretty().prettyFactory({
    colorize: process.stdout.isTTY === true,
    messageKey: 'msg',
    errorLikeObjectKeys: ['err'],
    translateTime: "UTC:yyyy-mm-dd HH:MM:ss.l'Z'",
    customLevels: 'debug:20,info:30,warning:40,error:50,critical:60',
    singleLine: true,
  })
  return (line) => {
    const { level, ...rest } = JSON.parse(line)
    return toText({ level: numbers[level] ?? 30, ...rest })
  }
}
