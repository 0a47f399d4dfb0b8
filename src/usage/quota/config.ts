import { z } from 'zod'

/** `[limits]`: what holds for callers of models where no limit of their own says otherwise. */
export const limitsConfig = z
  .strictObject({
    address_rpm: z
      .int()
      .min(0)
      .max(10_000_000)
      .default(0)
      .describe('Requests a minute from one client address; 0 for no limit. A limit of scope ip comes before it.')
      .meta({ reload: true, zh: '单个客户端地址每分钟的请求数上限；0 表示不限。针对该 IP 单独设置的限制优先。' }),
    stranger_rpm: z
      .int()
      .min(0)
      .max(10_000_000)
      .default(600)
      .describe(
        'Requests a minute without a valid key from one client address; beyond it they get 429. 0 for no limit.',
      )
      .meta({ reload: true, zh: '单个客户端地址每分钟无有效密钥的请求数上限，超出返回 429；0 表示不限。' }),
    assumed_output_tokens: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(2048)
      .describe('Output reserved for a call when neither the caller nor the model sets an upper bound.')
      .meta({ reload: true, zh: '调用方与模型均未设置输出上限时，为一次调用预留的输出 token 数。' }),
  })
  .describe('Limits and budgets of callers.')
  .meta({ zh: '调用方的限流与预算。' })

export type LimitsConfig = z.infer<typeof limitsConfig>
