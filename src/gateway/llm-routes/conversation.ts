import { readBody } from '../../http/body.ts'
import { wantAnswer } from '../answer/exchange.ts'
import { complete } from '../complete.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { type InboundProtocol, nowhere, type Place } from '../protocols/protocol.ts'
import { readAgentMember } from '../request/agent.ts'
import { readAsked } from '../request/asked.ts'
import { readSessionMember } from '../request/session-id.ts'
import { readWishMembers } from '../routing/wish.ts'
import { defineEndpoint, type Endpoint, toCall, type Visit } from './endpoint.ts'
import { questionOf } from './kept-question.ts'

/** A conversation with a model in one protocol, whichever protocol the provider that answers speaks. */
export function conversation(
  protocol: InboundProtocol,
  name: string,
  paths: Endpoint['paths'],
  placeOf: (visit: Visit) => Place = () => nowhere,
): Endpoint {
  return defineEndpoint({
    name,
    method: 'POST',
    paths,
    errors: protocol,
    isRecorded: true,
    async answer(visit) {
      const { request, meter, own } = visit
      const body = await readBody(request, { maxBytes: own.maxBodyBytes })
      const asked = readAsked(body, protocol, placeOf(visit), protocol.passHeaders?.(request.headers))
      meter.setAsked({ model: asked.model.slice(0, 200), stream: asked.stream, body })
      meter.setFacts({ agent: readAgentMember(asked.members) })
      const call = toCall(visit)
      if (call.sessionId === '') {
        call.sessionId = readSessionMember(asked)
        meter.setFacts({ sessionId: call.sessionId })
      }
      const wanted = wantAnswer(asked)
      // Members of the first orchestrator's, which had them in OpenAI's body.
      if (protocol.name === openaiChat.name) wanted.wish = readWishMembers(asked.members.member, call.wish)
      const place = { ...asked.place, stream: asked.stream }
      const question = questionOf(visit, body, { place, headers: asked.headers, wish: wanted.wish ?? call.wish })
      return await complete({ ...wanted, ...question }, call, own)
    },
  })
}
