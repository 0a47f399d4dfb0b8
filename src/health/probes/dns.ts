import { z } from 'zod'
import { lookUpRecords, recordTypes } from '../../platform/dial/names.ts'
import { host, port } from '../shapes.ts'
import { defineProbe, failed, ok } from './probe.ts'

export const dnsProbe = defineProbe({
  type: 'dns',
  describe: { en: 'A name has the records it should have.', zh: '域名解析记录符合预期。' },
  parameters: z.strictObject({
    name: z.string().min(1).max(253),
    record_type: z.enum(recordTypes).default('A'),
    expected: z
      .array(z.string().max(500))
      .max(20)
      .default([])
      .describe('Each must be among the records; empty for any record at all.'),
    is_exact: z.boolean().default(false).describe('Whether there may be no others.'),
    server: host.optional().describe('A name server; those of this machine unless said.'),
    server_port: port.default(53),
  }),
  secrets: [],
  target: ({ server, name }) => server ?? name,
  async run(
    { name, record_type: type, expected, is_exact: isExact, server, server_port: serverPort },
    { way, timeoutMs },
  ) {
    const at = server === undefined ? null : { host: server, port: serverPort }
    const found = await lookUpRecords(way, { name, type, server: at, timeoutMs })
    const observed = { records: found.length, found: found.join(', ').slice(0, 300) }
    if (found.length === 0) return failed('answer', `${name} has no ${type} record.`, observed)
    const plain = (text: string) => text.toLowerCase().replace(/\.$/, '')
    const have = new Set(found.map(plain))
    const missing = expected.filter((each) => !have.has(plain(each)))
    if (missing.length > 0) return failed('answer', `${name} lacks the ${type} record ${missing.join(', ')}.`, observed)
    const wanted = new Set(expected.map(plain))
    if (isExact && [...have].some((each) => !wanted.has(each)))
      return failed('answer', `${name} has ${type} records that are not expected.`, observed)
    return ok(`${found.length} ${type} records.`, observed)
  },
})
