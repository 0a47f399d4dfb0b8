/** One large body, sent again and again from a process of its own. */
import { type ChildProcess, fork } from 'node:child_process'
import http from 'node:http'
import { fileURLToPath } from 'node:url'

export type Sending = { url: string; apiKey: string; perSecond: number; seconds: number }

export type Sender = {
  /** Resolves when all were answered; rejects when one was not with 200. */
  send(sending: Sending): Promise<void>
  stop(): void
}

type Reply = { error?: string }

export async function startSender(body: Buffer): Promise<Sender> {
  const child = fork(fileURLToPath(import.meta.url), ['send'], { stdio: 'inherit' })
  const ask = async (message: object) => {
    child.send(message)
    const { error } = await nextReply(child)
    if (error !== undefined) throw new Error(`a large body: ${error}`)
  }
  await ask({ body: body.toString() })
  return { send: ask, stop: () => void child.kill() }
}

function nextReply(child: ChildProcess): Promise<Reply> {
  return new Promise((resolve, reject) => {
    child.once('message', (reply) => resolve(reply as Reply))
    child.once('exit', () => reject(new Error('the sender of large bodies ended')))
  })
}

function serve(): void {
  const agent = new http.Agent({ keepAlive: true })
  let body = Buffer.alloc(0)
  process.on('message', (message: Sending | { body: string }) => {
    if ('body' in message) {
      body = Buffer.from(message.body)
      process.send!({})
      return
    }
    sendAll(message, agent, body).then(
      () => process.send!({}),
      (error: Error) => process.send!({ error: error.message }),
    )
  })
}

async function sendAll({ url, apiKey, perSecond, seconds }: Sending, agent: http.Agent, body: Buffer): Promise<void> {
  const under: Promise<void>[] = []
  for (let sent = 0; sent < perSecond * seconds; sent++) {
    under.push(sendOne(`${url}/v1/chat/completions`, apiKey, agent, body))
    await new Promise((resolve) => setTimeout(resolve, 1000 / perSecond))
  }
  await Promise.all(under)
}

function sendOne(url: string, apiKey: string, agent: http.Agent, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/json',
      'content-length': body.length,
    }
    const request = http.request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume()
      response.on('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`answered ${response.statusCode}`)),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}

if (process.argv[2] === 'send') serve()
