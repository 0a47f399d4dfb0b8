import { z } from 'zod'
import { openaiChat } from '../protocols/openai-chat/index.ts'
import { openaiResponses } from '../protocols/openai-responses/index.ts'
import type { JsonObject } from '../protocols/protocol.ts'
import { apiOption, openaiProtocols } from './api/openai-api.ts'
import { openAzureCredential } from './auth/entra-credential.ts'
import type { BodyEdit } from './edit-body.ts'
import { type Address, defineProvider, noEdit, type OutboundCall } from './provider.ts'

const options = z.strictObject({
  api: apiOption,
  api_version: z
    .string()
    .regex(/^\d{4}-\d{2}-\d{2}(-preview)?$/, 'must look like 2024-10-21 or 2025-04-01-preview')
    .nullable()
    .default(null)
    .describe('A dated version uses /openai/deployments/…; null uses the newer /openai/v1.')
    .meta({ zh: '填写日期版本时使用 /openai/deployments/…；null 使用新版 /openai/v1。' }),
  deployment_names: z
    .enum(['as_given', 'without_dots'])
    .default('as_given')
    .describe('How the deployment is named after provider_model: as it is, or gpt-3.5-turbo as gpt-35-turbo.')
    .meta({ zh: '如何由 provider_model 得到部署名：原样，或去掉点号（gpt-3.5-turbo → gpt-35-turbo）。' }),
  entra_authority: z
    .url()
    .max(200)
    .default('https://login.microsoftonline.com')
    .describe('Where an application of Entra ID gets its token; other clouds have another.')
    .meta({ zh: 'Entra ID 应用获取令牌的地址；主权云请改为对应地址。' }),
  entra_scope: z
    .string()
    .max(200)
    .default('https://cognitiveservices.azure.com/.default')
    .describe('What the token of an application is for.')
    .meta({ zh: '应用令牌的作用域。' }),
})

/** https://learn.microsoft.com/azure/ai-foundry/openai/reference and …/latest (v1). */
export const azureOpenai = defineProvider({
  type: 'azure-openai',
  title: 'Azure OpenAI',
  protocols: [openaiChat, openaiResponses],
  needsKey: true,
  keyHint: 'key, Entra ID token, or {"tenant_id","client_id","client_secret"}',
  takesImageUrls: true,
  redundantSuffixes: ['/openai/deployments', '/openai/v1', '/openai'],
  options,
  wire: ({ api, api_version, deployment_names, entra_authority, entra_scope }) => ({
    ...openaiProtocols(api),
    baseUrl: null,
    address(call) {
      const deployment = deployment_names === 'without_dots' ? call.model.replaceAll('.', '') : call.model
      return api_version === null ? addressNew(call, deployment) : addressDated(call, deployment, api_version)
    },
    openCredential: (secret, outside) =>
      openAzureCredential(secret, { authority: entra_authority, scope: entra_scope }, outside),
    readRefusal: (protocol, status, headers, body) =>
      protocol.readError(status, headers, readManagementError(body) ?? body),
    // The models a resource may deploy, which is more than those it has deployed: the data plane lists no deployments.
    models: {
      address: () => ({
        origin: null,
        path: api_version === null ? '/openai/v1/models' : `/openai/models?api-version=${api_version}`,
      }),
      read: openaiChat.readModels,
    },
    quirks: null,
  }),
})

function addressNew({ path, model }: OutboundCall, deployment: string): Address {
  return { path: `/openai/v1${path}`, edit: nameDeployment(model, deployment), headers: [] }
}

/** Where it stands in no address, `model` in the body is the deployment. */
function nameDeployment(model: string, deployment: string): BodyEdit {
  return deployment === model ? noEdit : { set: { model: JSON.stringify(deployment) }, remove: [] }
}

/** Paths about files and the like belong to the resource, not to a deployment. */
const ofResource = /^\/(?:responses|files|batches|models|fine_tuning)(?:[/?]|$)/

function addressDated({ path, model }: OutboundCall, deployment: string, version: string): Address {
  const owner = ofResource.test(path) ? '/openai' : `/openai/deployments/${encodeURIComponent(deployment)}`
  return {
    path: `${owner}${path}${path.includes('?') ? '&' : '?'}api-version=${version}`,
    edit: path.startsWith('/responses') ? nameDeployment(model, deployment) : noEdit,
    headers: [],
  }
}

/** The gateway in front of the service has a shape of its own: `{"statusCode":401,"message":"…"}`. */
function readManagementError(body: string): string | null {
  try {
    const wire = JSON.parse(body) as JsonObject
    if (typeof wire.message !== 'string' || wire.error !== undefined) return null
    return JSON.stringify({ error: { message: wire.message } })
  } catch {
    return null
  }
}
