import { textOf } from './forms.ts'
import { json, type PlatformAnswer, type PlatformCall, type PlatformRoute, refuse, sse } from './platform.ts'

/** What models do: https://platform.openai.com/docs/api-reference */
export const modelRoutes: PlatformRoute = (call) => {
  if (call.method !== 'POST') return null
  const handler = handlers[call.path]
  return handler ? handler(call) : null
}

export const soundPieces = Array.from({ length: 12 }, (_, i) => Buffer.alloc(4096, i + 1))
export const picture = Buffer.alloc(30_000, 7).toString('base64')

const handlers: Record<string, (call: PlatformCall) => PlatformAnswer> = {
  '/v1/embeddings': embed,
  '/v1/moderations': ({ json: body }) =>
    body?.input === undefined
      ? refuse(400, 'Missing required parameter: input', 'input')
      : json({
          id: 'modr-1',
          model: body.model ?? 'omni-moderation-latest',
          results: [{ flagged: false, categories: {} }],
        }),
  '/v1/images/generations': ({ json: body }) =>
    typeof body?.prompt === 'string'
      ? draw('image_generation', body.stream === true, Number(body.n ?? 1))
      : refuse(400, 'Missing required parameter: prompt', 'prompt'),
  '/v1/images/edits': ({ form }) => {
    const image = form?.image ?? form?.['image[]']
    if (!image || !('filename' in image)) return refuse(400, 'image must be a file', 'image')
    return draw('image_edit', textOf(form?.stream) === 'true', Number(textOf(form?.n) ?? 1))
  },
  '/v1/images/variations': ({ form }) =>
    form?.image && 'filename' in form.image ? draw('image', false, 1) : refuse(400, 'image must be a file', 'image'),
  '/v1/audio/speech': speak,
  '/v1/audio/transcriptions': (call) => listen(call, 'transcribe'),
  '/v1/audio/translations': (call) => listen(call, 'translate'),
  '/v1/completions': finishText,
}

function embed({ json: body }: PlatformCall): PlatformAnswer {
  if (typeof body?.model !== 'string') return refuse(400, 'you must provide a model parameter', 'model')
  const { input } = body
  const inputs = Array.isArray(input) && typeof input[0] !== 'number' ? input : [input]
  const dimensions = typeof body.dimensions === 'number' ? body.dimensions : 8
  const data = inputs.map((each, index) => {
    const vector = Float32Array.from({ length: dimensions }, (_, i) => (JSON.stringify(each).length + i) / 16)
    const embedding =
      body.encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector)
    return { object: 'embedding', index, embedding }
  })
  return json({ object: 'list', data, model: body.model, usage: { prompt_tokens: 8, total_tokens: 8 } })
}

const imageUsage = {
  input_tokens: 50,
  output_tokens: 200,
  total_tokens: 250,
  input_tokens_details: { text_tokens: 10, image_tokens: 40 },
}

function draw(event: string, isStreamed: boolean, count: number): PlatformAnswer {
  if (!isStreamed) {
    const data = Array.from({ length: count }, () => ({ b64_json: picture }))
    return json({ created: 1_750_000_000, data, usage: imageUsage })
  }
  const partial = { type: `${event}.partial_image`, partial_image_index: 0, b64_json: picture }
  const completed = { type: `${event}.completed`, b64_json: picture, usage: imageUsage }
  return sse([partial, { ...partial, partial_image_index: 1 }, ...Array.from({ length: count }, () => completed)])
}

function speak({ json: body }: PlatformCall): PlatformAnswer {
  for (const name of ['model', 'input', 'voice'])
    if (typeof body?.[name] !== 'string') return refuse(400, `Missing required parameter: ${name}`, name)
  if (body?.stream_format !== 'sse') return { type: 'audio/mpeg', pieces: soundPieces }
  const deltas = soundPieces.map((piece) => ({ type: 'speech.audio.delta', audio: piece.toString('base64') }))
  return sse(
    [
      ...deltas,
      { type: 'speech.audio.done', usage: { input_tokens: 6, output_tokens: 90, total_tokens: 96 } } as never,
    ],
    false,
  )
}

function listen({ form }: PlatformCall, task: string): PlatformAnswer {
  if (!form?.file || !('filename' in form.file)) return refuse(400, 'file must be a file', 'file')
  if (!textOf(form.model)) return refuse(400, 'you must provide a model parameter', 'model')
  const text = `I heard ${form.file.size} bytes.`
  const usage = {
    type: 'tokens',
    input_tokens: 14,
    output_tokens: 45,
    total_tokens: 59,
    input_token_details: { text_tokens: 0, audio_tokens: 14 },
  }
  if (textOf(form.stream) === 'true') {
    return sse([
      ...['I heard ', `${form.file.size} bytes.`].map((delta) => ({ type: 'transcript.text.delta', delta })),
      { type: 'transcript.text.done', text, usage } as never,
    ])
  }
  switch (textOf(form.response_format)) {
    case 'text':
      return { type: 'text/plain; charset=utf-8', pieces: [`${text}\n`] }
    case 'srt':
      return { type: 'text/plain; charset=utf-8', pieces: [`1\n00:00:00,000 --> 00:00:03,000\n${text}\n`] }
    case 'vtt':
      return { type: 'text/vtt', pieces: [`WEBVTT\n\n00:00.000 --> 00:03.000\n${text}\n`] }
    case 'verbose_json':
      return json({
        task,
        language: 'english',
        duration: 3.47,
        text,
        segments: [],
        usage: { type: 'duration', seconds: 4 },
      })
    default:
      return json({ text, usage })
  }
}

function finishText({ json: body, number }: PlatformCall): PlatformAnswer {
  if (typeof body?.model !== 'string') return refuse(400, 'you must provide a model parameter', 'model')
  if (body.prompt === undefined) return refuse(400, 'you must provide a prompt', 'prompt')
  const head = { id: `cmpl-fake-${number}`, object: 'text_completion', created: 1_750_000_000, model: body.model }
  const prompts = Array.isArray(body.prompt) ? body.prompt : [body.prompt]
  const texts = prompts.map((prompt) => `${body.echo === true ? prompt : ''} there was a fake.`)
  const usage = { prompt_tokens: 4, completion_tokens: 5, total_tokens: 9 }
  const choice = (text: string, index: number, finish: string | null) => ({
    text,
    index,
    logprobs: null,
    finish_reason: finish,
  })
  if (body.stream !== true) {
    return json({ ...head, choices: texts.map((text, index) => choice(text, index, 'stop')), usage })
  }
  const wantsUsage = (body.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true
  const chunks = texts.flatMap((text, index) => [
    ...text.match(/.{1,6}/gs)!.map((piece) => ({ ...head, choices: [choice(piece, index, null)] })),
    { ...head, choices: [choice('', index, 'stop')] },
  ])
  const all = [...chunks, ...(wantsUsage ? [{ ...head, choices: [], usage }] : [])]
  return {
    type: 'text/event-stream; charset=utf-8',
    pieces: [...all.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`), 'data: [DONE]\n\n'],
  }
}
