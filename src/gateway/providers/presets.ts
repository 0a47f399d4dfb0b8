import type { Quirks } from './quirks.ts'

/** A vendor or server that speaks OpenAI's chat API: where it is and how it departs, from its own documentation. */
export type Preset = {
  id: string
  title: string
  /** null: at an address of the operator's. */
  baseUrl: string | null
  /** Where the departures are told. */
  docs: string
  quirks: Partial<Quirks>
}

/** What most servers of open models share: they know the roles and limits of 2023. */
const classic = { developer_role: false, max_tokens_field: 'max_tokens' } as const

// Only what a vendor is known to refuse or to lack is listed: a member that is merely ignored does no harm.
export const presets = [
  {
    id: 'deepseek',
    title: 'DeepSeek',
    baseUrl: 'https://api.deepseek.com',
    docs: 'https://api-docs.deepseek.com/api/create-chat-completion',
    quirks: {
      ...classic,
      json_schema: false,
      choices: false,
      reasoning_field: 'reasoning_content',
      embeddings_path: null,
    },
  },
  {
    id: 'dashscope',
    title: 'Alibaba Qwen (DashScope)',
    baseUrl: 'https://dashscope.aliyuncs.com/compatible-mode/v1',
    docs: 'https://help.aliyun.com/zh/model-studio/compatibility-of-openai-with-dashscope',
    quirks: { ...classic, reasoning_field: 'reasoning_content', tool_choice_required: false },
  },
  {
    id: 'moonshot',
    title: 'Moonshot Kimi',
    baseUrl: 'https://api.moonshot.cn/v1',
    docs: 'https://platform.kimi.com/docs/guide/migrating-from-openai-to-kimi',
    quirks: {
      developer_role: false,
      max_tokens_field: 'max_completion_tokens',
      reasoning_field: 'reasoning_content',
      tool_choice_required: false,
      embeddings_path: null,
    },
  },
  {
    id: 'zhipu',
    title: 'Zhipu GLM',
    baseUrl: 'https://open.bigmodel.cn/api/paas/v4',
    docs: 'https://docs.bigmodel.cn/cn/guide/develop/openai/introduction',
    quirks: {
      ...classic,
      json_schema: false,
      choices: false,
      tool_choice_required: false,
      tool_choice_named: false,
      reasoning_field: 'reasoning_content',
      lists_models: false,
    },
  },
  {
    id: 'ark',
    title: 'Volcengine Ark (Doubao)',
    baseUrl: 'https://ark.cn-beijing.volces.com/api/v3',
    docs: 'https://www.volcengine.com/docs/82379/1494384',
    quirks: { ...classic, choices: false, reasoning_field: 'reasoning_content', responses: true, lists_models: false },
  },
  {
    id: 'minimax',
    title: 'MiniMax',
    baseUrl: 'https://api.minimaxi.com/v1',
    docs: 'https://platform.minimaxi.com/docs/api-reference/text-openai-api',
    quirks: { ...classic, choices: false, think_tags: true, embeddings_path: null, lists_models: false },
  },
  {
    id: 'siliconflow',
    title: 'SiliconFlow',
    baseUrl: 'https://api.siliconflow.cn/v1',
    docs: 'https://docs.siliconflow.cn/cn/api-reference/chat-completions/chat-completions',
    quirks: { ...classic, json_schema: false, reasoning_field: 'reasoning_content' },
  },
  {
    id: 'hunyuan',
    title: 'Tencent Hunyuan',
    baseUrl: 'https://api.hunyuan.cloud.tencent.com/v1',
    docs: 'https://cloud.tencent.com/document/product/1729/111007',
    quirks: { ...classic, json_schema: false, choices: false, lists_models: false },
  },
  {
    id: 'openrouter',
    title: 'OpenRouter',
    baseUrl: 'https://openrouter.ai/api/v1',
    docs: 'https://openrouter.ai/docs/api-reference/overview',
    quirks: { reasoning_field: 'reasoning', responses: true },
  },
  {
    id: 'groq',
    title: 'Groq',
    baseUrl: 'https://api.groq.com/openai/v1',
    docs: 'https://console.groq.com/docs/openai',
    quirks: {
      choices: false,
      message_names: false,
      reasoning_field: 'reasoning',
      drop: ['logprobs', 'top_logprobs', 'logit_bias'],
      responses: true,
      embeddings_path: null,
    },
  },
  {
    id: 'xai',
    title: 'xAI Grok',
    baseUrl: 'https://api.x.ai/v1',
    docs: 'https://docs.x.ai/docs/api-reference',
    quirks: { developer_role: false, responses: true },
  },
  {
    id: 'mistral',
    title: 'Mistral',
    baseUrl: 'https://api.mistral.ai/v1',
    docs: 'https://docs.mistral.ai/api/endpoint/chat',
    // It checks its bodies strictly: whatever it does not know is 422.
    quirks: {
      ...classic,
      stream_options: false,
      reasoning_field: 'none',
      drop: [
        ...['user', 'store', 'logit_bias', 'logprobs', 'top_logprobs', 'service_tier', 'verbosity'],
        ...['prompt_cache_key', 'safety_identifier', 'seed'],
      ],
    },
  },
  {
    id: 'together',
    title: 'Together AI',
    baseUrl: 'https://api.together.xyz/v1',
    docs: 'https://docs.together.ai/docs/openai-api-compatibility',
    quirks: { ...classic },
  },
  {
    id: 'fireworks',
    title: 'Fireworks AI',
    baseUrl: 'https://api.fireworks.ai/inference/v1',
    docs: 'https://docs.fireworks.ai/tools-sdks/openai-compatibility',
    quirks: { ...classic, reasoning_field: 'reasoning_content', responses: true },
  },
  {
    id: 'cerebras',
    title: 'Cerebras',
    baseUrl: 'https://api.cerebras.ai/v1',
    docs: 'https://inference-docs.cerebras.ai/resources/openai',
    quirks: {
      developer_role: false,
      choices: false,
      drop: ['frequency_penalty', 'presence_penalty', 'logit_bias'],
      embeddings_path: null,
    },
  },
  {
    id: 'ollama',
    title: 'Ollama',
    baseUrl: 'http://127.0.0.1:11434/v1',
    docs: 'https://docs.ollama.com/api/openai-compatibility',
    quirks: { ...classic, choices: false, reasoning_field: 'reasoning', responses: true },
  },
  {
    id: 'vllm',
    title: 'vLLM',
    baseUrl: null,
    docs: 'https://docs.vllm.ai/en/latest/serving/openai_compatible_server/',
    quirks: { responses: true },
  },
  {
    id: 'lm-studio',
    title: 'LM Studio',
    baseUrl: 'http://127.0.0.1:1234/v1',
    docs: 'https://lmstudio.ai/docs/developer/openai-compat',
    quirks: { ...classic, choices: false, json_object: false, responses: true },
  },
  {
    id: 'llama-cpp',
    title: 'llama.cpp server',
    baseUrl: 'http://127.0.0.1:8080/v1',
    docs: 'https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md',
    quirks: { ...classic, reasoning_field: 'reasoning_content' },
  },
] as const satisfies readonly Preset[]
