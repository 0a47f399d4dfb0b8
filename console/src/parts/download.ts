import { openAnswer, type Query } from '../api.ts'

/** Saves what the hub answers as a file; a link could not say who asks. With a body, it is a POST. */
export async function download(path: string, query: Query, name: string, body?: unknown): Promise<void> {
  const method = body === undefined ? 'GET' : 'POST'
  const response = await openAnswer(method, path, { query, body, headers: { accept: '*/*' } })
  const url = URL.createObjectURL(await response.blob())
  const link = document.createElement('a')
  link.href = url
  link.download = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1] ?? name
  link.click()
  // The browser has taken it by the next turn at the latest.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
