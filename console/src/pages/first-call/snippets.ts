export type Called = { base: string; model: string; prompt: string }

/** The same call from programs; the key is read from GATEHOUSE_KEY and stands nowhere. */
export const snippets = {
  curl: ({ base, model, prompt }: Called) => `curl ${base}/chat/completions \\
  -H "Authorization: Bearer $GATEHOUSE_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${JSON.stringify({ model, messages: [{ role: 'user', content: prompt }] }).replaceAll("'", "'\\''")}'`,

  python: ({ base, model, prompt }: Called) => `import os
from openai import OpenAI

client = OpenAI(base_url="${base}", api_key=os.environ["GATEHOUSE_KEY"])
answer = client.chat.completions.create(
    model=${JSON.stringify(model)},
    messages=[{"role": "user", "content": ${JSON.stringify(prompt)}}],
)
print(answer.choices[0].message.content)`,

  javascript: ({ base, model, prompt }: Called) => `import OpenAI from 'openai'

const client = new OpenAI({ baseURL: '${base}', apiKey: process.env.GATEHOUSE_KEY })
const answer = await client.chat.completions.create({
  model: ${JSON.stringify(model)},
  messages: [{ role: 'user', content: ${JSON.stringify(prompt)} }],
})
console.log(answer.choices[0].message.content)`,
} as const
