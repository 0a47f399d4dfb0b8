import { fail } from '../kernel/errors.ts'
import { readWorkbook } from '../platform/spreadsheet/read-workbook.ts'
import { type Cell, toWorkbook } from '../platform/spreadsheet/xlsx.ts'
import type { Item } from './document.ts'

/** The three sheets of the orchestrator, with what its own lost: found by the names in their first row, in any order. */
type Field = { header: string; also: readonly string[]; field: string; is: 'text' | 'number' | 'boolean' }
type Sheet = { name: string; also: readonly string[]; kind: string; fields: readonly Field[]; needs: readonly string[] }

const of = (is: Field['is'], header: string, also: readonly string[], field = header): Field => ({
  header,
  also,
  field,
  is,
})

export const sheets: readonly Sheet[] = [
  {
    ...{ name: 'Providers', also: ['供应商', '提供商'], kind: 'providers', needs: ['name', 'type'] },
    fields: [
      of('text', 'name', ['名称']),
      of('text', 'type', ['类型']),
      of('text', 'api_key', ['API密钥'], 'api_key_cipher'),
      of('text', 'base_url', ['基础URL']),
      of('number', 'priority', ['优先级']),
      of('number', 'weight', ['权重']),
      of('boolean', 'enabled', ['启用状态', '启用']),
      of('number', 'max_retries', ['最大重试']),
      of('number', 'timeout', ['超时']),
      of('number', 'rate_limit', ['速率限制']),
    ],
  },
  {
    ...{ name: 'Models', also: ['模型'], kind: 'models', needs: ['name'] },
    fields: [
      of('text', 'name', ['模型名称', '名称']),
      of('text', 'remark', ['备注', '显示名称']),
      of('number', 'max_retry', ['最大重试']),
      of('number', 'timeout', ['超时']),
      of('boolean', 'enabled', ['启用状态', '启用']),
    ],
  },
  {
    ...{ name: 'Associations', also: ['关联', '映射'], kind: 'model_providers' },
    needs: ['model_name', 'provider_name', 'provider_model'],
    fields: [
      of('text', 'model_name', ['模型名称'], 'model'),
      of('text', 'provider_name', ['提供商名称', '供应商名称'], 'provider'),
      of('text', 'provider_model', ['提供商模型', '供应商模型']),
      of('boolean', 'supports_tools', ['支持工具', '支持函数'], 'tool_call'),
      of('boolean', 'supports_vision', ['支持视觉'], 'image'),
      of('boolean', 'supports_structured_output', ['支持结构化输出'], 'structured_output'),
      of('number', 'weight', ['权重']),
      of('boolean', 'enabled', ['启用状态', '启用']),
    ],
  },
]

/** As a workbook: texts stay texts whatever they begin with, booleans are booleans. Keys of providers are left out. */
export async function writeSheets(items: Readonly<Record<string, readonly Item[]>>): Promise<Buffer> {
  const written = sheets.map(({ name, kind, fields }) => ({
    name,
    columns: fields.map(({ header }) => header),
    rows: (items[kind] ?? []).map((item) =>
      Object.fromEntries(
        fields.map(({ header, field }) => [
          header,
          field === 'api_key_cipher' ? null : ((item[field] ?? null) as Cell),
        ]),
      ),
    ),
  }))
  const pieces: Buffer[] = []
  for await (const piece of toWorkbook(written)) pieces.push(piece as Buffer)
  return Buffer.concat(pieces)
}

export type ReadSheets = {
  items: Record<string, Item[]>
  /** `Providers, row 3` */
  placeOf(kind: string, index: number): string
}

/** Reads what somebody sent; throws `invalid_request` with every cell that will not do. */
export async function readSheets(bytes: Buffer): Promise<ReadSheets> {
  const found = await readWorkbook(bytes).catch((cause: unknown) => {
    throw fail('invalid_request', 'This is no workbook (.xlsx)', { param: 'workbook', cause })
  })
  const wrong: { path: string; message: string }[] = []
  const items: Record<string, Item[]> = {}
  const places: Record<string, string[]> = {}
  const isKnown = (name: string) => sheets.some((sheet) => [sheet.name, ...sheet.also].some((each) => same(each, name)))
  for (const { name } of found) {
    if (!isKnown(name))
      wrong.push({ path: name, message: `there is no sheet ${name}: ${sheets.map((each) => each.name).join(', ')}` })
  }
  for (const sheet of sheets) {
    const given = found.find(({ name }) => [sheet.name, ...sheet.also].some((each) => same(each, name)))
    if (given === undefined) continue
    const [header = [], ...rows] = given.rows
    const columns = header.map((cell) => findField(sheet, cell))
    for (const [index, field] of columns.entries()) {
      const written = header[index]
      if (field === undefined && written !== null && written !== '') {
        wrong.push({
          path: `${given.name}, ${String(written)}`,
          message: `there is no such column: ${sheet.fields.map((each) => each.header).join(', ')}`,
        })
      }
    }
    for (const need of sheet.needs) {
      if (!columns.some((field) => field?.header === need))
        wrong.push({ path: given.name, message: `the column ${need} is missing` })
    }
    items[sheet.kind] = []
    places[sheet.kind] = []
    for (const [index, row] of rows.entries()) {
      // Empty lines are nobody's, and no thing is counted for them.
      if (row.every((cell) => cell === null || cell === '')) continue
      const place = `${given.name}, row ${index + 2}`
      const item: Item = {}
      for (const [at, field] of columns.entries()) {
        const cell = row[at] ?? null
        if (field === undefined || cell === null || cell === '') continue
        const value = readCell(field, cell)
        if (value instanceof Error) wrong.push({ path: `${place}, ${field.header}`, message: value.message })
        else item[field.field] = value
      }
      items[sheet.kind]!.push(item)
      places[sheet.kind]!.push(place)
    }
  }
  if (wrong.length > 0) {
    const [first] = wrong
    throw fail('invalid_request', `Nothing was read in: ${first!.path}: ${first!.message}`, {
      ...{ param: first!.path, issues: wrong.slice(0, 100) },
    })
  }
  return { items, placeOf: (kind, index) => places[kind]?.[index] ?? kind }
}

function findField({ fields }: Sheet, cell: Cell | undefined): Field | undefined {
  return fields.find(({ header, also }) => [header, ...also].some((name) => same(name, String(cell ?? ''))))
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.trim().toLowerCase()
}

function readCell({ is }: Field, cell: Exclude<Cell, null>): unknown {
  if (is === 'boolean') {
    if (typeof cell === 'boolean') return cell
    return new Error(`"${cell}" is a text or a number: write a real TRUE or FALSE, as =TRUE() makes it`)
  }
  if (is === 'number') {
    if (typeof cell === 'number' && Number.isInteger(cell)) return cell
    return new Error(`"${cell}" is no whole number`)
  }
  // A model called 2024 is a text to us and a number to a spreadsheet.
  return typeof cell === 'number' ? String(cell) : typeof cell === 'boolean' ? (cell ? 'TRUE' : 'FALSE') : cell
}
