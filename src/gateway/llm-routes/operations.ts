import { discardBody, readBody } from '../../http/body.ts'
import { fail, type HubError } from '../../kernel/errors.ts'
import { complete } from '../complete.ts'
import { type AskedOperation, wantOperation } from '../operations/asking/want.ts'
import { type Operation, operations } from '../operations/index.ts'
import { receiveUpload, type Upload } from '../operations/upload/receive.ts'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import type { ErrorWriter } from '../protocols/protocol.ts'
import { readBodyOf } from '../protocols/reading.ts'
import { defineEndpoint, type Endpoint, toCall, type Visit } from './endpoint.ts'
import { questionOf } from './kept-question.ts'

/** OpenAI's errors, under the name of the API as a whole. */
export const openaiErrors: ErrorWriter = { name: 'openai', writeError: openaiChat.writeError }

/** What models do beside holding conversations. */
export const operationEndpoints: readonly Endpoint[] = operations.map((operation) =>
  defineEndpoint({
    name: `/v1${operation.path}`,
    method: 'POST',
    paths: [`/v1${operation.path}`, `/api/v1${operation.path}`],
    errors: openaiErrors,
    isRecorded: true,
    takesUploads: operation.bodies.includes('multipart'),
    answer: (visit) =>
      isMultipart(visit) && operation.bodies.includes('multipart')
        ? answerUpload(operation, visit)
        : answerJson(operation, visit),
  }),
)

async function answerJson(operation: Operation, visit: Visit) {
  const { request, meter, own } = visit
  if (!operation.bodies.includes('json')) {
    throw fail('unsupported_media_type', 'Send multipart/form-data.', { param: 'content-type' })
  }
  const body = await readBody(request, { maxBytes: own.maxBodyBytes })
  const reading = readBodyOf(body, operation.defaultModel === undefined)
  const model = readModel(operation, reading.member('model'))
  const asked: AskedOperation = {
    model,
    member: reading.member,
    whole: reading.whole,
    open: (providerModel) => {
      const content = reading.edit(
        reading.member('model') === providerModel ? {} : { model: JSON.stringify(providerModel) },
      )
      return { content, headers: ['content-type', 'application/json'] }
    },
  }
  requireMembers(operation, asked)
  const wanted = { ...wantOperation(operation, asked), ...(operation.isSteady ? questionOf(visit, body) : {}) }
  meter.setAsked({ model: model.slice(0, 200), stream: operation.answer(asked) === 'events', body })
  return await complete(wanted, toCall(visit), own)
}

async function answerUpload(operation: Operation, visit: Visit) {
  const { request, meter, own } = visit
  const { spools } = own
  const maxBytes = own.maxUploadBytes()
  const upload = await receiveUpload(request, { maxBytes, spools, mayPassOn: (field) => field('model') !== undefined })
  try {
    const asked = askedBy(operation, upload)
    requireMembers(operation, asked)
    meter.setAsked({ model: asked.model.slice(0, 200), stream: operation.answer(asked) === 'events', body: null })
    return await complete(wantOperation(operation, asked), toCall(visit), own)
  } catch (error) {
    // What broke off the upload says more than what its breaking off did to the provider.
    throw upload.fault() ?? error
  } finally {
    await upload.close()
    discardBody(request)
  }
}

function askedBy(operation: Operation, upload: Upload): AskedOperation {
  const model = readModel(operation, upload.field('model'))
  return {
    model,
    member: upload.field,
    whole: () => ({}),
    open: (providerModel) => upload.open({ model: providerModel }),
  }
}

function isMultipart({ request }: Visit): boolean {
  return /^multipart\//i.test(request.headers['content-type'] ?? '')
}

function readModel({ defaultModel }: Operation, named: unknown): string {
  const model = named ?? defaultModel
  if (typeof model === 'string' && model !== '') return model
  throw fail('invalid_request', 'model must be a string: the name of the model to ask.', { param: 'model' })
}

function requireMembers({ required }: Operation, { member, model }: AskedOperation): void {
  const missing = required.find((name) => name !== 'model' && (member(name) ?? '') === '')
  if (model === '' || missing !== undefined) throw missingMember(missing ?? 'model')
}

function missingMember(name: string): HubError {
  return fail('invalid_request', `${name} is missing.`, { param: name })
}
