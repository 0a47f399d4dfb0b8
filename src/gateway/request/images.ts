import { fail } from '../../kernel/errors.ts'
import type { ChatImagePart, ChatMessage, ChatPart, ChatRequest } from '../chat.ts'

export type FetchImage = (url: string) => Promise<{ status: number; mediaType: string; body: Buffer }>

const imageTypes = new Set(['image/png', 'image/jpeg', 'image/webp', 'image/gif', 'image/heic', 'image/heif'])

/**
 * The same conversation with every image given by address replaced by its bytes. `fetchImage` guards the address: a
 * caller chooses it, and it must not reach inside the hub's own network.
 *
 * @throws HubError `invalid_request` naming the message whose image cannot be had.
 */
export async function fetchImages(chat: ChatRequest, fetchImage: FetchImage): Promise<ChatRequest> {
  if (!chat.messages.some((message) => partsOf(message).some(isRemote))) return chat
  const messages: ChatMessage[] = []
  for (const [index, message] of chat.messages.entries()) {
    if (message.role !== 'user' && message.role !== 'tool') messages.push(message)
    else {
      const parts = await Promise.all(message.parts.map((part) => embed(part, index, fetchImage)))
      messages.push({ ...message, parts })
    }
  }
  return { ...chat, messages }
}

function partsOf(message: ChatMessage): readonly ChatPart[] {
  return message.role === 'user' || message.role === 'tool' ? message.parts : []
}

function isRemote(part: ChatPart): part is ChatImagePart & { source: { kind: 'url'; url: string } } {
  return part.kind === 'image' && part.source.kind === 'url'
}

async function embed(part: ChatPart, index: number, fetchImage: FetchImage): Promise<ChatPart> {
  if (!isRemote(part)) return part
  const refuse = (why: string, cause?: unknown) =>
    fail('invalid_request', `The image of messages[${index}] cannot be used: ${why}`, {
      param: `messages[${index}]`,
      cause,
    })
  let fetched: Awaited<ReturnType<FetchImage>>
  try {
    fetched = await fetchImage(part.source.url)
  } catch (error) {
    throw refuse('its address cannot be fetched from here.', error)
  }
  if (fetched.status !== 200) throw refuse(`its address answers ${fetched.status}.`)
  const mediaType = fetched.mediaType.split(';')[0]!.trim().toLowerCase()
  if (!imageTypes.has(mediaType)) throw refuse('what is there is not an image of a known type.')
  return { ...part, source: { kind: 'base64', mediaType, base64: fetched.body.toString('base64') } }
}
