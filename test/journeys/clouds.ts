import type { VendorName } from '../fake-providers/index.ts'
import { createAzure } from '../fake-providers/vendors/azure.ts'
import { createBedrock } from '../fake-providers/vendors/bedrock.ts'
import type { Vendor } from '../fake-providers/vendors/vendor.ts'
import { createVertex } from '../fake-providers/vendors/vertex.ts'
import type { Json } from './stage.ts'

/** Models at other people's clouds: address, credentials and framing are all theirs. */
export type Cloud = {
  name: string
  type: string
  /** Whose wire its models speak. */
  kind: VendorName
  vendor: Vendor & { revokeTokens?(): void }
  providerModel: string
  options(origin: string): Json
  apiKey(origin: string): string
  /** Where the fake must have been called, whole and streamed. */
  paths: [string, string]
}

export const place = { project: 'fake-project', location: 'us-east5' }
export const aws = {
  region: 'us-east-1',
  accessKeyId: 'AKIAFAKEFAKEFAKE',
  secretAccessKey: 'fake/secret+canary/0123456789abcdef',
}
export const application = { tenant_id: 'tenant-1', client_id: 'client-1', client_secret: 'fake~secret-canary-1' }

/** One door of each cloud, none of them used yet. */
export function createClouds(): Cloud[] {
  const vertexClaude = createVertex('anthropic', place)
  const vertexGemini = createVertex('google', place)
  return [
    {
      name: 'azure-dated',
      type: 'azure-openai',
      kind: 'openai',
      vendor: createAzure({ apiVersion: '2024-10-21', apiKey: 'azure-key-canary-123456' }),
      providerModel: 'gpt-3.5-turbo',
      options: () => ({ api_version: '2024-10-21', deployment_names: 'without_dots' }),
      apiKey: () => 'azure-key-canary-123456',
      paths: [
        '/openai/deployments/gpt-35-turbo/chat/completions?api-version=2024-10-21',
        '/openai/deployments/gpt-35-turbo/chat/completions?api-version=2024-10-21',
      ],
    },
    {
      name: 'azure-v1-entra',
      type: 'azure-openai',
      kind: 'openai',
      vendor: createAzure({ apiVersion: null, apiKey: 'unused-key-canary', application }),
      providerModel: 'my-deployment',
      options: (origin) => ({ entra_authority: origin }),
      apiKey: () => JSON.stringify(application),
      paths: ['/openai/v1/chat/completions', '/openai/v1/chat/completions'],
    },
    {
      name: 'bedrock',
      type: 'bedrock',
      kind: 'anthropic',
      vendor: createBedrock({ ...aws, sessionToken: 'fake-session-token+/=' }),
      providerModel: 'us.anthropic.claude-sonnet-4-5-20250929-v1:0',
      options: () => ({ region: aws.region }),
      apiKey: () => `${aws.accessKeyId}:${aws.secretAccessKey}:fake-session-token+/=`,
      paths: [
        '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke',
        '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream',
      ],
    },
    {
      name: 'vertex-anthropic',
      type: 'vertex-anthropic',
      kind: 'anthropic',
      vendor: vertexClaude,
      providerModel: 'claude-sonnet-4-5@20250929',
      options: () => place,
      apiKey: (origin) => vertexClaude.accountFile(origin),
      paths: [
        '/v1/projects/fake-project/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5%4020250929:rawPredict',
        '/v1/projects/fake-project/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5%4020250929:streamRawPredict',
      ],
    },
    {
      name: 'vertex-gemini',
      type: 'vertex-gemini',
      kind: 'gemini',
      vendor: vertexGemini,
      providerModel: 'gemini-2.5-flash',
      options: () => place,
      apiKey: (origin) => vertexGemini.accountFile(origin),
      paths: [
        '/v1/projects/fake-project/locations/us-east5/publishers/google/models/gemini-2.5-flash:generateContent',
        '/v1/projects/fake-project/locations/us-east5/publishers/google/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
      ],
    },
  ]
}
