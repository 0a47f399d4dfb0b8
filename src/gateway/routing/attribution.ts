import type { UpstreamFailure } from '../chat.ts'

/**
 * Whose fault a failed attempt is. `caller`: the request is wrong whoever reads it. `key`: the provider is well and this
 * key is not. `hub`: our own rules forbid it. `provider`: all the rest, as far as one attempt can tell.
 */
export type Blame = 'caller' | 'key' | 'hub' | 'provider'

const blames: Record<UpstreamFailure['code'], Blame> = {
  invalid_request: 'caller',
  context_too_long: 'caller',
  content_filter: 'caller',
  authentication: 'key',
  permission: 'key',
  rate_limited: 'key',
  insufficient_quota: 'key',
  forbidden_address: 'hub',
  not_found: 'provider',
  overloaded: 'provider',
  server_error: 'provider',
  timeout: 'provider',
  connect_timeout: 'provider',
  first_token_timeout: 'provider',
  idle_timeout: 'provider',
}

export function blameFor({ code, status }: Pick<UpstreamFailure, 'code' | 'status'>): Blame {
  // Too large or not processable, whatever the vendor calls it.
  return status === 413 || status === 422 ? 'caller' : blames[code]
}

/**
 * The attempts of one call that seem the fault of those who were asked, kept until the call shows whether they are: a
 * request that fails the same way at two candidates or more, and nowhere otherwise, is taken to be the cause itself.
 * Candidates, not attempts: to fail twice at one says nothing.
 */
export class Suspicion<Attempt> {
  private readonly held: { attempt: Attempt; candidateId: string; way: string }[] = []

  add(attempt: Attempt, candidateId: string, { code, status }: UpstreamFailure): void {
    this.held.push({ attempt, candidateId, way: `${code} ${status}` })
  }

  /** The verdict on all attempts so far; `wasAnswered` when another candidate could serve the request. */
  judge(wasAnswered: boolean, tell: (attempt: Attempt, isProviders: boolean) => void): void {
    const isRequests =
      !wasAnswered &&
      new Set(this.held.map(({ candidateId }) => candidateId)).size >= 2 &&
      new Set(this.held.map(({ way }) => way)).size === 1
    for (const { attempt } of this.held.splice(0)) tell(attempt, !isRequests)
  }
}
