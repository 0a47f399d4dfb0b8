/**
 * Fake LLM providers over real HTTP: they speak OpenAI's, Anthropic's or Gemini's interface as strictly as the vendor
 * does, record what arrives, and can be told, as data, to stall, cut, lie and fail.
 */
export * from './behaviour.ts'
export {
  type FakeProvider,
  type FakeProviderOptions,
  type RecordedRequest,
  startFakeProvider,
} from './fake-provider.ts'
export type { VendorName } from './vendors/index.ts'
