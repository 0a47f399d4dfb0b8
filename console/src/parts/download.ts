import { openAnswer, type Query } from '../api.ts'

/**
 * Saves what the hub answers as a file; a link could not say who asks. With a body, it is a POST. `onBytes` is told how much
 * has come: an export is as long as what it holds, which nobody knows before its end.
 */
export async function download(
  path: string,
  query: Query,
  name: string,
  { body, onBytes, signal }: { body?: unknown; onBytes?: (bytes: number) => void; signal?: AbortSignal } = {},
): Promise<void> {
  const method = body === undefined ? 'GET' : 'POST'
  const response = await openAnswer(method, path, { query, body, signal, headers: { accept: '*/*' } })
  const type = response.headers.get('content-type') ?? ''
  const url = URL.createObjectURL(new Blob(await readAll(response, onBytes), { type }))
  const link = document.createElement('a')
  link.href = url
  link.download = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1] ?? name
  link.click()
  // The browser has taken it by the next turn at the latest.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

async function readAll(response: Response, onBytes?: (bytes: number) => void): Promise<Uint8Array<ArrayBuffer>[]> {
  const pieces: Uint8Array<ArrayBuffer>[] = []
  let bytes = 0
  const reader = response.body!.getReader()
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return pieces
    pieces.push(value)
    bytes += value.byteLength
    onBytes?.(bytes)
  }
}
