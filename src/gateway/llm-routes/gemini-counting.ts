import { readBody } from '../../http/body.ts'
import { fail } from '../../kernel/errors.ts'
import { estimateTokens } from '../../usage/calls.ts'
import { admitPlain, complete } from '../complete.ts'
import { readCountable } from '../protocols/gemini/count-tokens.ts'
import { gemini as protocol } from '../protocols/gemini/index.ts'
import { asCount } from '../protocols/json.ts'
import { readBodyOf } from '../protocols/reading.ts'
import { defineEndpoint, toCall } from './endpoint.ts'
import { findVisible, geminiName, pathOf } from './gemini-paths.ts'
import { askGemini, speaksGemini, wantFrom } from './gemini-wanted.ts'
import { sendJson } from './replies.ts'

/**
 * How many tokens a request would be. A Gemini provider counts itself; where there is none the count is an estimate and
 * says so in `x-gatehouse-estimated`. Costs nothing either way.
 */
export const geminiCounting = defineEndpoint({
  name: '/v1beta/models/{model}:countTokens',
  method: 'POST',
  paths: [pathOf('countTokens')],
  errors: protocol,
  isRecorded: true,
  async answer(visit) {
    const { request, response, meter, own, context, errorHeaders, endpoint } = visit
    const name = geminiName(visit)
    const body = await readBody(request, { maxBytes: own.maxBodyBytes })
    meter.setAsked({ model: name.slice(0, 200), stream: false, body })
    const wire = readBodyOf(body, false).whole()
    const model = findVisible(visit, name)
    if (model.candidates.some(speaksGemini)) {
      const ask = askGemini('countTokens', wire, (read) => {
        // Counting is free, and said to be so rather than estimated from the body.
        if (asCount(read.totalTokens) === null) throw fail('upstream_garbled')
        return { tokensIn: 0, tokensOut: 0, tokensCachedRead: 0, tokensCachedWrite: 0, tokensReasoning: 0 }
      })
      return await complete(wantFrom(name, ask), toCall(visit), own)
    }
    await admitPlain({ ...context, principal: visit.principal }, errorHeaders, own)
    const { text, mediaTokens } = readCountable(wire)
    const totalTokens = estimateTokens(text) + mediaTokens
    const headers = [...errorHeaders, 'x-gatehouse-estimated', 'true']
    return {
      outcome: 'success',
      status: 200,
      error: null,
      finish: '',
      spent: null,
      send(instead) {
        if (instead) throw instead
        sendJson(response, 200, { totalTokens }, context, endpoint.errors, headers)
      },
    }
  },
})
