import { z } from 'zod'
import { follow } from '../http/following.ts'
import { reply } from '../http/reply.ts'
import { defineRoute, type Route } from '../http/route.ts'
import type { Clock } from '../kernel/clock.ts'
import { fail } from '../kernel/errors.ts'
import { formats } from './document.ts'
import { actions, conflictModes } from './import.ts'
import { kinds } from './kinds.ts'
import { secretModes } from './seal.ts'
import type { Transfer } from './transfer.ts'

const tag = 'configuration'
const access = 'super_admin'
const names = kinds.map(({ name }) => name)
const largest = 32 * 1024 * 1024

const options = {
  on_conflict: z
    .enum(conflictModes)
    .default('skip')
    .describe(
      'What becomes of what is there already: left alone, changed in what the document says, or made as it says.',
    ),
  choices: z
    .record(z.string().max(500), z.enum(conflictModes))
    .default({})
    .describe('Another mode for single things, by kind and name: {"providers/OpenAI-Main": "update"}.'),
  passphrase: z.string().max(1000).default('').describe('Of a document whose secrets are sealed with one.'),
  dry_run: z.boolean().default(true).describe('Only tells what would be done.'),
}

const told = z.object({
  dry_run: z.boolean(),
  counts: z.record(z.string(), z.number()),
  items: z.array(
    z.object({
      kind: z.string(),
      name: z.string(),
      action: z.enum(actions),
      changes: z.array(z.string()),
      note: z.string(),
    }),
  ),
})

type Options = z.infer<z.ZodObject<typeof options>>

/** `/api/config/export` and `/import`: the whole control plane, for super_admins. Every import is all or nothing. */
export function transferRoutes(transfer: Transfer, clock: Clock): Route[] {
  const toOptions = ({ on_conflict, dry_run, choices, passphrase }: Options) => ({
    ...{ onConflict: on_conflict, isDry: dry_run, choices, passphrase },
  })
  return [
    defineRoute({
      method: 'POST',
      path: '/api/config/export',
      action: 'config.export',
      summary: 'The control plane as TOML or JSON. Secrets are named as variables, or sealed; never in clear.',
      ...{ access, tag },
      body: z.strictObject({
        format: z.enum(formats).default('toml'),
        secrets: z
          .enum(secretModes)
          .default('reference')
          .describe(
            'reference: names of variables; passphrase: sealed with it; key_ring: for hubs of the same master key.',
          ),
        passphrase: z.string().max(1000).default(''),
        only: z
          .array(z.enum(names as [string, ...string[]]))
          .min(1)
          .optional()
          .describe('Kinds; all of them unless said.'),
      }),
      reply: z.string(),
      async handle({ body: { format, secrets, passphrase, only } }) {
        const text = await transfer.export({ format, secrets, passphrase, only: only ?? null })
        const type = format === 'json' ? 'application/json' : 'application/toml'
        return reply(200, text, {
          'content-type': `${type}; charset=utf-8`,
          'content-disposition': `attachment; filename="gatehouse-control-plane.${format}"`,
        })
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/config/import',
      action: 'config.import',
      summary: 'Reads an export in, in one transaction, and tells what became of each thing. A dry run unless said.',
      ...{ access, tag },
      body: z.strictObject({ document: z.string().min(1).max(largest), ...options }),
      reply: told,
      handle: async ({ body, audit }) => tell(body, await transfer.import(body.document, toOptions(body)), audit),
    }),
    defineRoute({
      method: 'GET',
      path: '/api/config/export.xlsx',
      summary: 'Providers, models and associations as a workbook of three sheets, without keys of providers.',
      ...{ access, tag },
      reply: z.string(),
      async handle() {
        return reply(200, await transfer.exportSheets(), {
          'content-type': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
          'content-disposition': 'attachment; filename="gatehouse-providers.xlsx"',
        })
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/config/import.xlsx',
      action: 'config.import',
      summary: 'Reads such a workbook in; columns are found by their names. A dry run unless said.',
      ...{ access, tag },
      body: z.strictObject({ workbook: z.base64().max(largest).describe('The .xlsx file in base64.'), ...options }),
      reply: told,
      async handle({ body, audit }) {
        const bytes = Buffer.from(body.workbook, 'base64')
        if (bytes.length === 0) throw fail('invalid_request', 'The workbook is empty', { param: 'workbook' })
        return tell(body, await transfer.importSheets(bytes, toOptions(body)), audit)
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/api/config/import/events',
      summary:
        'Follows the import that runs on this node as server-sent events: `progress` each second; over when none runs.',
      ...{ access, tag },
      handle: ({ closed }) => {
        let [isSeen, reads] = [false, 0]
        // Who follows may be here before the import is.
        const read = async () => {
          const told = transfer.progress()
          isSeen ||= told !== null
          return { isOver: told === null && (isSeen || ++reads > 5), told }
        }
        return follow(read, { clock, closed })
      },
    }),
  ]
}

function tell(
  { dry_run }: Pick<Options, 'dry_run'>,
  items: Awaited<ReturnType<Transfer['import']>>,
  audit: ((note: { target?: string; after?: unknown }) => void) | undefined,
) {
  const counts: Record<string, number> = {}
  for (const { action } of items) counts[action] = (counts[action] ?? 0) + 1
  // Which things, and not what is in them: there may be ten thousand.
  audit?.({ target: dry_run ? 'dry run' : '', after: counts })
  return { dry_run, counts, items }
}
