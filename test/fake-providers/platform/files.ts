import { randomBytes } from 'node:crypto'
import { textOf } from './forms.ts'
import { json, type PlatformRoute, refuse } from './platform.ts'

export type FakeFile = { id: string; filename: string; purpose: string; bytes: Buffer }

/** https://platform.openai.com/docs/api-reference/files */
/** Never the same twice, in whichever fake. */
export const createFakeId = (prefix: string) => `${prefix}${randomBytes(8).toString('hex')}`

export function fileRoutes(): { files: Map<string, FakeFile>; route: PlatformRoute } {
  const files = new Map<string, FakeFile>()
  const show = ({ id, filename, purpose, bytes }: FakeFile) => ({
    ...{ id, object: 'file', bytes: bytes.length, created_at: 1_750_000_000 },
    ...{ filename, purpose, status: 'processed', status_details: null, expires_at: null },
  })
  const route: PlatformRoute = ({ method, path, form }) => {
    if (path === '/v1/files' && method === 'POST') {
      const file = form?.file
      const purpose = textOf(form?.purpose)
      if (!file || !('filename' in file)) return refuse(400, "'file' is a required property", 'file')
      if (!purpose) return refuse(400, "'purpose' is a required property", 'purpose')
      const made = { id: createFakeId('file-'), filename: file.filename, purpose, bytes: file.bytes }
      files.set(made.id, made)
      return json(show(made))
    }
    const [, id, content] = /^\/v1\/files\/([^/]+)(\/content)?$/.exec(path) ?? []
    if (id === undefined) return null
    const file = files.get(id)
    if (!file) return refuse(404, `No such File object: ${id}`, 'id')
    if (content && method === 'GET') return { type: 'application/octet-stream', pieces: cut(file.bytes) }
    if (method === 'GET') return json(show(file))
    if (method !== 'DELETE') return null
    files.delete(id)
    return json({ id, object: 'file', deleted: true })
  }
  return { files, route }
}

function cut(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 65_536) pieces.push(bytes.subarray(at, at + 65_536))
  return pieces
}
