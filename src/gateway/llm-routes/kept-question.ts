import { readKeepWish } from '../answer/kept.ts'
import type { Wanted } from '../answer/wanted.ts'
import { nowhere, type Place } from '../protocols/protocol.ts'
import { type RouteWish, readWishHeaders } from '../routing/wish.ts'
import type { Visit } from './endpoint.ts'

/**
 * What makes another request the same as this one: path, place, body, and the headers that change what is asked or of
 * whom. For requests whose answer depends on nothing else; {} where this hub keeps no answers.
 */
export function questionOf(
  { request, own, endpoint }: Visit,
  body: Buffer,
  asked: { place?: Place; headers?: readonly string[]; wish?: RouteWish } = {},
): Pick<Wanted, 'question'> {
  if (own.kept === null) return {}
  const { place = nowhere, headers = [], wish = readWishHeaders(request.headers) } = asked
  const keepWish = readKeepWish(request.headers['x-gatehouse-cache'])
  return { question: { endpoint: JSON.stringify([endpoint.name, headers, wish]), place, body, wish: keepWish } }
}
