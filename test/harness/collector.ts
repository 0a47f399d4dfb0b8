/** A collector of OpenTelemetry that takes nothing but what its protocol allows, and keeps what it took. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { until } from './control.ts'

// https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto, in its JSON
// form: ids in hex, 64-bit numbers as text, enumerations as numbers, nothing that is not there.
const uint64 = z.string().regex(/^\d{1,20}$/)
const value = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ intValue: z.string().regex(/^-?\d{1,19}$/) }),
  z.strictObject({ doubleValue: z.number() }),
  z.strictObject({ boolValue: z.boolean() }),
  z.strictObject({
    arrayValue: z.strictObject({ values: z.array(z.strictObject({ stringValue: z.string() })) }),
  }),
])
const attributes = z
  .array(z.strictObject({ key: z.string().min(1), value }))
  .refine((list) => new Set(list.map(({ key }) => key)).size === list.length, 'a key comes twice')
const hex = (digits: number) =>
  z
    .string()
    .regex(new RegExp(`^[0-9a-f]{${digits}}$`))
    .refine((id) => !/^0+$/.test(id), 'an id of zeros')
const span = z
  .strictObject({
    traceId: hex(32),
    spanId: hex(16),
    traceState: z.string().min(1).optional(),
    parentSpanId: hex(16).optional(),
    flags: z.int().min(0).max(0xffff_ffff),
    name: z.string().min(1),
    kind: z.int().min(1).max(5),
    startTimeUnixNano: uint64,
    endTimeUnixNano: uint64,
    attributes,
    status: z.strictObject({ code: z.int().min(0).max(2).optional(), message: z.string().optional() }),
  })
  .refine((each) => BigInt(each.startTimeUnixNano) <= BigInt(each.endTimeUnixNano), 'it ends before it begins')
  .refine((each) => each.startTimeUnixNano.length === 19, 'it begins at no nanosecond of ours')
const body = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(
        z.strictObject({
          scope: z.strictObject({ name: z.string(), version: z.string() }),
          spans: z.array(span).min(1),
        }),
      ),
    }),
  ),
})

export type CollectedSpan = {
  traceId: string
  spanId: string
  parentSpanId: string
  traceState: string
  flags: number
  name: string
  kind: number
  startNanos: bigint
  endNanos: bigint
  attributes: Record<string, unknown>
  status: { code?: number | undefined; message?: string | undefined }
  resource: Record<string, unknown>
}

export type Collector = {
  url: string
  spans: CollectedSpan[]
  /** What came that is no OTLP, in words; nothing, if all is well. */
  faults: string[]
  requests: { headers: IncomingMessage['headers']; path: string; spans: number }[]
  /** Spans of a trace, once there is one by this name in it. */
  trace(traceId: string, lastName: string): Promise<CollectedSpan[]>
  close(): Promise<void>
}

/** `answer` may answer a request in its own way by returning true; its spans are not kept then. */
export async function startCollector(
  answer?: (response: ServerResponse, number: number) => boolean,
): Promise<Collector> {
  const spans: CollectedSpan[] = []
  const faults: string[] = []
  const requests: Collector['requests'] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { headers, url = '', method } = request
    if (method !== 'POST' || headers['content-type'] !== 'application/json' || headers['content-encoding'] !== 'gzip')
      faults.push(`${method} of ${headers['content-type']} in ${headers['content-encoding']}`)
    const read = body.safeParse(JSON.parse(gunzipSync(Buffer.concat(chunks)).toString('utf8')))
    if (!read.success) faults.push(z.prettifyError(read.error))
    const taken = read.data?.resourceSpans.flatMap(toSpans) ?? []
    requests.push({ headers, path: url, spans: taken.length })
    if (answer?.(response, requests.length) === true) return
    spans.push(...taken)
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ spans, faults, requests },
    async trace(traceId, lastName) {
      const ofTrace = () => spans.filter((each) => each.traceId === traceId)
      await until(`the span ${lastName} has come`, () => ofTrace().some(({ name }) => name === lastName))
      return ofTrace()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function toSpans({ resource, scopeSpans }: z.infer<typeof body>['resourceSpans'][number]): CollectedSpan[] {
  return scopeSpans.flatMap(({ spans }) =>
    spans.map(({ startTimeUnixNano, endTimeUnixNano, parentSpanId = '', traceState = '', ...rest }) => ({
      ...{
        ...rest,
        parentSpanId,
        traceState,
        resource: plain(resource.attributes),
        attributes: plain(rest.attributes),
      },
      ...{ startNanos: BigInt(startTimeUnixNano), endNanos: BigInt(endTimeUnixNano) },
    })),
  )
}

function plain(list: z.infer<typeof attributes>): Record<string, unknown> {
  return Object.fromEntries(
    list.map(({ key, value: each }) => {
      if ('intValue' in each) return [key, Number(each.intValue)]
      if ('arrayValue' in each) return [key, each.arrayValue.values.map(({ stringValue }) => stringValue)]
      return [key, Object.values(each)[0]]
    }),
  )
}
