/**
 * Every failure the hub can tell anyone about, in one list.
 *
 * A code is a promise: it is never reused for another meaning. The HTTP status and whether a repeat can help are
 * properties of the code, not of the place that throws it. Rendering happens only at an edge: problem+json for the
 * control API, each vendor's envelope on its own paths, two lines and an exit code in the CLI.
 */
type Row = { status: number; title: string; titleZh: string; retry: boolean }

export const errorCatalogue = {
  invalid_request: { status: 400, title: 'The request is not valid', titleZh: '请求无效', retry: false },
  invalid_json: { status: 400, title: 'The body is not valid JSON', titleZh: '请求体不是合法的 JSON', retry: false },
  unsupported_parameter: {
    status: 400,
    title: 'The chosen model cannot do what a parameter asks',
    titleZh: '所选模型不支持该参数',
    retry: false,
  },
  unauthenticated: { status: 401, title: 'Credentials are missing', titleZh: '缺少凭据', retry: false },
  invalid_api_key: { status: 401, title: 'The API key is not valid', titleZh: 'API 密钥无效', retry: false },
  invalid_credentials: { status: 401, title: 'Wrong name or password', titleZh: '用户名或密码错误', retry: false },
  session_expired: {
    status: 401,
    title: 'The session is over, log in again',
    titleZh: '会话已失效，请重新登录',
    retry: false,
  },
  invalid_token: {
    // Not 401: the credential of the request, if any, is not what is wrong.
    status: 400,
    title: 'The link or token is not valid, was used or has expired',
    titleZh: '链接或令牌无效、已使用或已过期',
    retry: false,
  },
  origin_not_allowed: {
    status: 403,
    title: 'Pages of this origin may not call the hub',
    titleZh: '不允许该来源的网页调用',
    retry: false,
  },
  address_not_allowed: {
    status: 403,
    title: 'Calls from this address are not taken here',
    titleZh: '不接受来自该地址的请求',
    retry: false,
  },
  forbidden: { status: 403, title: 'This credential may not do that', titleZh: '该凭据无权执行此操作', retry: false },
  model_not_allowed: {
    status: 403,
    title: 'This key may not use that model',
    titleZh: '该密钥无权使用此模型',
    retry: false,
  },
  budget_exhausted: {
    // Not 429: clients repeat that by themselves, and no repeat fills a purse.
    status: 402,
    title: 'A budget is used up',
    titleZh: '预算已用尽',
    retry: false,
  },
  setup_required: {
    status: 403,
    title: 'The hub has no owner yet and answers on loopback only',
    titleZh: '系统尚未完成初始化，仅接受本机访问',
    retry: false,
  },
  not_found: { status: 404, title: 'There is no such thing here', titleZh: '资源不存在', retry: false },
  model_not_found: { status: 404, title: 'There is no such model', titleZh: '模型不存在', retry: false },
  method_not_allowed: {
    status: 405,
    title: 'That method is not served here',
    titleZh: '不支持该请求方法',
    retry: false,
  },
  conflict: { status: 409, title: 'It already exists', titleZh: '资源已存在', retry: false },
  backup_unusable: { status: 409, title: 'The backup cannot be used', titleZh: '备份不可用', retry: false },
  reserved_name: {
    status: 409,
    title: 'The hub needs that name for itself',
    titleZh: '该名称为系统保留',
    retry: false,
  },
  already_set_up: { status: 409, title: 'The hub already has an owner', titleZh: '系统已完成初始化', retry: false },
  body_too_large: { status: 413, title: 'The body is too large', titleZh: '请求体过大', retry: false },
  url_too_long: { status: 414, title: 'The address asked for is too long', titleZh: '请求地址过长', retry: false },
  headers_too_large: {
    status: 431,
    title: 'The headers are too many or too large',
    titleZh: '请求头过多或过大',
    retry: false,
  },
  unsupported_media_type: {
    status: 415,
    title: 'That content type is not read here',
    titleZh: '不支持的内容类型',
    retry: false,
  },
  rate_limited: { status: 429, title: 'Too many requests', titleZh: '请求过于频繁', retry: true },
  client_closed: { status: 499, title: 'The caller hung up', titleZh: '客户端已断开', retry: false },
  internal: { status: 500, title: 'Something broke on our side', titleZh: '服务器内部错误', retry: true },
  upstream_refused: { status: 400, title: 'The provider refused the request', titleZh: '上游拒绝了请求', retry: false },
  upstream_unauthorized: {
    // Not 401: the caller's own credentials are fine, and not 5xx: a repeat cannot help.
    status: 424,
    title: 'The provider did not accept our credentials',
    titleZh: '上游不接受本系统的凭据',
    retry: false,
  },
  upstream_rate_limited: { status: 429, title: 'The provider limits us', titleZh: '上游限流', retry: true },
  upstream_failed: { status: 502, title: 'The provider failed', titleZh: '上游故障', retry: true },
  upstream_overloaded: { status: 503, title: 'The provider is overloaded', titleZh: '上游过载', retry: true },
  upstream_unreachable: { status: 502, title: 'The provider cannot be reached', titleZh: '无法连接上游', retry: true },
  upstream_timeout: { status: 504, title: 'The provider did not answer in time', titleZh: '上游响应超时', retry: true },
  upstream_connect_timeout: {
    status: 504,
    title: 'The provider accepted no connection in time',
    titleZh: '连接上游超时',
    retry: true,
  },
  upstream_first_token_timeout: {
    status: 504,
    title: 'The provider began no answer in time',
    titleZh: '上游首个内容超时',
    retry: true,
  },
  upstream_idle_timeout: {
    status: 504,
    title: 'The provider fell silent in the middle of its answer',
    titleZh: '上游流静默超时',
    retry: true,
  },
  upstream_truncated: {
    status: 502,
    title: 'The provider stopped in the middle of its answer',
    titleZh: '上游响应中途中断',
    retry: true,
  },
  upstream_garbled: {
    status: 502,
    title: 'The provider answered something unreadable',
    titleZh: '上游响应无法解析',
    retry: true,
  },
  no_provider: {
    status: 503,
    title: 'No provider can serve this model now',
    titleZh: '当前没有可用的上游',
    retry: true,
  },
  service_not_found: { status: 404, title: 'There is no such service', titleZh: '服务不存在', retry: false },
  service_not_allowed: {
    status: 403,
    title: 'This caller may not use that service',
    titleZh: '无权调用此服务',
    retry: false,
  },
  service_unavailable: {
    status: 503,
    title: 'No instance of the service takes calls now',
    titleZh: '该服务当前没有可用实例',
    retry: true,
  },
  service_unreachable: {
    status: 502,
    title: 'An instance of the service cannot be reached',
    titleZh: '无法连接服务实例',
    retry: true,
  },
  service_garbled: {
    status: 502,
    title: 'An instance of the service answered something unreadable',
    titleZh: '服务实例的响应无法解析',
    retry: true,
  },
  service_timeout: {
    status: 504,
    title: 'An instance of the service did not answer in time',
    titleZh: '服务实例响应超时',
    retry: true,
  },
  unavailable: { status: 503, title: 'A part of the hub is not available', titleZh: '系统组件暂不可用', retry: true },
  ledger_unavailable: {
    status: 503,
    title: 'The ledger cannot be written, so nothing is served',
    titleZh: '账本无法写入，暂停服务',
    retry: true,
  },
  shutting_down: { status: 503, title: 'The hub is stopping', titleZh: '系统正在停止', retry: true },
} as const satisfies Record<string, Row>

export type ErrorCode = keyof typeof errorCatalogue

export type FailOptions = {
  /** Name of the offending parameter, path or variable, as the caller wrote it. */
  param?: string
  /** Status to answer instead of the code's own: only to keep an upstream's status class. */
  status?: number
  /** When a repeat may succeed. Rendered as Retry-After, rounded up to whole seconds. */
  retryAfterMs?: number
  /** Operators' half of the story: goes to the log, never to a caller. */
  detail?: string
  /** A vendor's own words for a failure that came from it, for callers that switch on them. */
  vendor?: { type: string | null; code: string | null }
  /** Field-by-field findings of a validation, safe for the caller. */
  issues?: readonly { path: string; message: string }[]
  cause?: unknown
}

export class HubError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly param: string | undefined
  readonly retryAfterMs: number | undefined
  readonly detail: string | undefined
  readonly issues: readonly { path: string; message: string }[] | undefined
  readonly vendor: { type: string | null; code: string | null } | undefined

  constructor(code: ErrorCode, message: string, options: FailOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'HubError'
    this.code = code
    this.status = options.status ?? errorCatalogue[code].status
    this.param = options.param
    this.retryAfterMs = options.retryAfterMs
    this.detail = options.detail
    this.issues = options.issues
    this.vendor = options.vendor
  }
}

/** Makes the error for a code; `message` is for the caller and must hold nothing secret. Throw what it returns. */
export function fail(code: ErrorCode, message?: string, options?: FailOptions): HubError {
  return new HubError(code, message ?? errorCatalogue[code].title, options)
}

/** Anything thrown, as a HubError. What we did not foresee is `internal`: its story stays in `cause` for the log. */
export function toHubError(thrown: unknown): HubError {
  return thrown instanceof HubError ? thrown : fail('internal', undefined, { cause: thrown })
}
