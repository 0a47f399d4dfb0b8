import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FakePlatform, startFakePlatform } from '../fake-providers/platform/index.ts'
import { until } from '../harness/control.ts'
import { type ProcessHub, startProcessHub } from '../harness/process-hub.ts'

/** Uploads through the hub as operators run it, where its memory is its own. */
let hub: ProcessHub
let platform: FakePlatform
let apiKey: string

beforeAll(async () => {
  platform = await startFakePlatform()
  hub = await startProcessHub({ env: { GATEHOUSE_GATEWAY_MAX_UPLOAD_BYTES: String(maxUpload * mega) } })
  await hub.serveModel('whisper', {
    type: 'openai',
    base_url: platform.baseUrl,
    api_key: platform.apiKey,
    max_retries: 0,
  })
  apiKey = (await hub.createKey()).key
})

afterAll(async () => {
  await hub?.destroy()
  await platform?.close()
})

const mega = 1024 * 1024
/** Of which two thirds and more are sent: far beyond the 64 MB that V8 lets buffers grow by before it collects them. */
const maxUpload = 256
const boundary = 'a-boundary'
const field = (name: string, text: string) =>
  `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`
const fileHead = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n`
const end = `\r\n--${boundary}--\r\n`
const hashes = new Map<number, string>()

function pieceOf(index: number): Buffer {
  return Buffer.alloc(mega, index + 1)
}

function hashOf(megabytes: number): string {
  const known = hashes.get(megabytes)
  if (known) return known
  const hash = createHash('sha256')
  for (let i = 0; i < megabytes; i++) hash.update(pieceOf(i))
  hashes.set(megabytes, hash.digest('hex'))
  return hashes.get(megabytes)!
}

/** Sends a file of so many megabytes, `before` and `after` being fields around it. */
async function upload(
  megabytes: number,
  { before = '', after = '', isChunked = false, onPiece = async (_: number) => {} },
) {
  const [head, tail] = [Buffer.from(before + fileHead), Buffer.from(`\r\n${after}${end.slice(2)}`)]
  const length = head.length + megabytes * mega + tail.length
  const answer = Promise.withResolvers<{ status: number; text: string }>()
  const request = httpRequest(`${hub.url()}/v1/audio/transcriptions`, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${apiKey}`,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      ...(isChunked ? {} : { 'content-length': length }),
    },
  })
  request.on('response', async (response) => {
    let text = ''
    for await (const piece of response) text += piece
    answer.resolve({ status: response.statusCode ?? 0, text })
  })
  request.on('error', answer.reject)
  // Whoever is refused need not send on, and a connection that is gone calls nobody back.
  const settled = answer.promise.then(
    () => {},
    () => {},
  )
  const write = (bytes: Buffer) =>
    Promise.race([settled, new Promise<void>((resolve) => request.write(bytes, () => resolve()))])
  await write(head)
  for (let i = 0; i < megabytes && !request.destroyed; i++) {
    await write(pieceOf(i))
    await onPiece(i)
  }
  request.end(tail)
  return await answer.promise
}

function residentMegabytes(): number {
  const status = readFileSync(`/proc/${hub.run().pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024
}

/** Files of the spool that the hub has open: they have no name any more. */
function openSpools(): number {
  const folder = `/proc/${hub.run().pid}/fd`
  return readdirSync(folder).filter((name) => {
    try {
      return readlinkSync(join(folder, name)).includes('/spool/')
    } catch {
      return false
    }
  }).length
}

test.each([
  ['the model behind the file: held on disk', { after: field('model', 'whisper') }],
  ['the model before the file: passed on as it comes', { before: field('model', 'whisper') }],
])('5.6.43 multipart is streamed, not buffered: memory stays flat with %s', async (_, around) => {
  const megabytes = 200
  const peak = async (size: number) => {
    let most = 0
    const answer = await upload(size, {
      ...around,
      onPiece: async () => {
        most = Math.max(most, residentMegabytes())
      },
    })
    return { answer, most }
  }
  // The heap grows to its working size first.
  for (const size of [8, 8, 8]) await peak(size)
  const before = (await peak(8)).most
  const { answer, most } = await peak(megabytes)
  expect(answer).toMatchObject({ status: 200, text: expect.stringContaining(String(megabytes * mega)) })
  expect(platform.requests.at(-1)!.form).toMatchObject({
    file: { sha256: hashOf(megabytes) },
    model: { text: 'whisper' },
  })
  // Twenty-five times the file, and far from as much more memory.
  expect(most - before).toBeLessThan((megabytes - 8) * 0.6)
  expect(openSpools()).toBe(0)
})

test('5.6.43 what is passed on reaches the provider while the caller still sends', async () => {
  const seen = platform.requests.length
  await upload(6, {
    before: field('model', 'whisper'),
    onPiece: async (index) => {
      if (index !== 4) return
      await until('the provider has begun to read', () => (platform.requests[seen]?.bodyBytes ?? 0) > mega)
    },
  })
  expect(platform.requests).toHaveLength(seen + 1)
})

test('an upload of unknown length is passed on too', async () => {
  expect(await upload(3, { before: field('model', 'whisper'), isChunked: true })).toMatchObject({ status: 200 })
  expect(platform.requests.at(-1)!.form).toMatchObject({ file: { sha256: hashOf(3) } })
})

test('a provider that refuses at once is heard before the upload is over', async () => {
  platform.behave({ isEarly: true, status: 400, body: '{"error":{"message":"no"}}' })
  const answer = await upload(8, { before: field('model', 'whisper') }).catch((error: NodeJS.ErrnoException) => error)
  if ('status' in answer) expect(answer.status).toBe(400)
  else expect(['EPIPE', 'ECONNRESET']).toContain(answer.code)
})

test('a second model behind the file breaks the upload off', async () => {
  const answer = await upload(2, { before: field('model', 'whisper'), after: field('model', 'another') })
  expect(answer).toMatchObject({ status: 400, text: expect.stringContaining('given twice') })
})

test('a file above the limit is refused, declared or not', async () => {
  let seen = -1
  const isQuiet = () => {
    const before = seen
    seen = platform.requests.length
    return seen === before
  }
  await until('nothing of earlier uploads arrives any more', isQuiet, { everyMs: 500 })
  const declared = await upload(maxUpload + 1, { after: field('model', 'whisper') }).catch(
    (error: NodeJS.ErrnoException) => error,
  )
  if ('status' in declared) expect(declared.status).toBe(413)
  const undeclared = await upload(maxUpload + 1, { after: field('model', 'whisper'), isChunked: true }).catch(
    (error: Error) => error,
  )
  if ('status' in undeclared) expect(undeclared.status).toBe(413)
  expect(platform.requests).toHaveLength(seen)
  await until('the room is given back', () => openSpools() === 0)
})

/** Half a file that is held on disk, from a caller that says no more. */
async function begin() {
  const request = httpRequest(`${hub.url()}/v1/audio/transcriptions`, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': `multipart/form-data; boundary=${boundary}` },
  })
  request.on('error', () => {})
  request.write(Buffer.concat([Buffer.from(fileHead), pieceOf(1)]))
  await until('it is held', () => openSpools() > 0)
  return request
}

test('a caller that leaves in the middle gives its room back, and so does a hub that is killed', async () => {
  const left = await begin()
  left.destroy()
  await until('the room is given back', () => openSpools() === 0)
  await begin()
  await hub.kill('SIGKILL')
  await hub.restart()
  expect(existsSync(join(hub.dataDir, 'spool'))).toBe(false)
})
