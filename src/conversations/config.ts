import { z } from 'zod'
import { packNames, readPattern } from './redaction/index.ts'

const days = z.int().min(1).max(3650)

/** `[conversations]`: what is kept of conversations, and for how long. */
export const conversationsConfig = z
  .strictObject({
    messages: z
      .enum(['never', 'chosen', 'always'])
      .default('chosen')
      .describe(
        'Whether what is said is kept: never, where a tenant or key has chosen it, or always unless one has chosen not to.',
      )
      .meta({ zh: '是否保存对话内容：从不、仅租户或密钥主动开启时、或默认保存（除非主动关闭）。' }),
    message_retention_days: days
      .default(30)
      .describe('What was said is deleted after so many days, unless the tenant or key says otherwise.')
      .meta({ zh: '对话内容的保留天数（租户或密钥可另行设定）。' }),
    session_retention_days: days
      .default(90)
      .describe('Sessions, with everything in them, are deleted so many days after their last call.')
      .meta({ zh: '会话在最后一次调用之后的保留天数，到期连同内容一并删除。' }),
    redact: z
      .array(z.enum(packNames))
      .default([...packNames])
      .describe('What is taken out of texts before they are kept: e-mail addresses, phones, identity cards, API keys.')
      .meta({ zh: '保存前从文本中抹去的内容：邮箱、电话、身份证号、API 密钥。' }),
    redact_patterns: z
      .array(
        z
          .string()
          .max(300)
          .superRefine((text, context) => {
            const read = readPattern(text)
            if ('fault' in read) {
              context.addIssue({ code: 'custom', message: read.fault, params: { zh: read.faultZh } })
            }
          }),
      )
      .max(50)
      .default([])
      .describe('More that is taken out, each as name=expression; quantifiers inside repeated groups are refused.')
      .meta({ zh: '自定义抹除规则，格式为 名称=正则表达式；不允许嵌套的量词。' }),
    max_call_bytes: z
      .int()
      .min(1024)
      .max(64 * 1024 * 1024)
      .default(1024 * 1024)
      .describe('Of a call whose question and answer are larger together, nothing that is said is kept.')
      .meta({ reload: true, zh: '单次调用（请求加回答）超过该字节数时不保存其内容。' }),
    queue_max_mb: z
      .int()
      .min(1)
      .max(4096)
      .default(64)
      .describe('Most memory for what waits to be kept, in MiB; more is not kept, and counted.')
      .meta({ reload: true, zh: '等待保存的内容最多占用的内存（MiB）；超出部分不保存，仅计数。' }),
  })
  .describe('Sessions, and what is said in them.')
  .meta({ zh: '会话及其内容。' })

export type ConversationsConfig = z.infer<typeof conversationsConfig>
