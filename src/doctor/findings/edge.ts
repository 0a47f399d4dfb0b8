import { askWeb, readCertificate, timePieces } from '../../platform/diagnose/web.ts'
import { bad, defineFinding, ok, type Seen, skip, unknown, warn } from '../finding.ts'
import { ownAddress, type World } from '../world.ts'

const dayMs = 86_400_000

/** The public address, or why nobody asks it. */
function publicAddress({ settings, isOffline }: World): { url: string } | { seen: Seen } {
  const url = settings?.server.public_url.replace(/\/$/, '') ?? ''
  if (url === '') return { seen: skip('server.public_url is not set') }
  return isOffline ? { seen: skip('offline') } : { url }
}

export const certificateEnding = defineFinding({
  id: 'certificate_ending',
  area: 'edge',
  severity: 'critical',
  async run(world) {
    const asked = publicAddress(world)
    if ('seen' in asked) return asked.seen
    const { protocol, hostname, port } = new URL(asked.url)
    if (protocol !== 'https:') return skip('the public address has no TLS')
    const look = await readCertificate(hostname, Number(port || 443), 4000)
    if ('code' in look)
      return unknown(`${hostname}: ${look.message}`, { en: 'No certificate could be had.', zh: '无法取得证书。' })
    const days = Math.floor((look.validTo - world.clock.now()) / dayMs)
    const evidence = `${look.subject} of ${look.issuer}, ends in ${days} days${look.trouble && `: ${look.trouble}`}`
    const remedy = {
      en: 'Renew it (certbot renew) with the whole chain (fullchain.pem) and let the proxy read it again.',
      zh: '请续期（certbot renew）并使用完整证书链（fullchain.pem），然后重载代理。',
    }
    if (look.trouble !== '' || days < 0) {
      return bad(
        evidence,
        {
          en: 'The certificate of the public address is not believed by clients: it has ended, its chain is incomplete, or it is of another name.',
          zh: '客户端不信任公网地址的证书：已过期、证书链不完整或域名不符。',
        },
        remedy,
      )
    }
    return days < 21
      ? warn(
          evidence,
          { en: 'The certificate of the public address ends soon.', zh: '公网地址的证书即将到期。' },
          remedy,
        )
      : ok(evidence)
  },
})

export const publicAddressWrong = defineFinding({
  id: 'public_address',
  area: 'edge',
  severity: 'critical',
  async run(world) {
    const asked = publicAddress(world)
    if ('seen' in asked) return asked.seen
    const answer = await askWeb(`${asked.url}/livez`, { timeoutMs: 4000 })
    const remedy = {
      en: 'Is the proxy running, does its upstream lead to server.host and server.port, and does server.public_url name it?',
      zh: '请确认代理正在运行、其上游指向 server.host 与 server.port，且 server.public_url 正确。',
    }
    if (!answer.answered)
      return bad(
        `${asked.url}: ${answer.message}`,
        { en: 'Nobody answers at the public address.', zh: '公网地址无人应答。' },
        remedy,
      )
    if (/"status":"(alive|stalled)"/.test(answer.text)) return ok(`a hub answers at ${asked.url}`)
    return bad(
      `${asked.url}/livez answers ${answer.status}: ${answer.text.slice(0, 100)}`,
      {
        en: `At the public address something else answers (${answer.status}): the proxy does not reach the hub, or another program is there.`,
        zh: `公网地址上应答的不是本服务（${answer.status}）：代理无法连到本服务，或指向了其他程序。`,
      },
      remedy,
    )
  },
})

export const proxyBuffers = defineFinding({
  id: 'proxy_buffers',
  area: 'edge',
  severity: 'major',
  async run(world) {
    const asked = publicAddress(world)
    if ('seen' in asked) return asked.seen
    const key = world.settings!.auth.admin_key
    if (key === '') return skip('only the holder of ADMIN_KEY may ask for the stream')
    const heard = await timePieces(`${asked.url}/api/doctor/stream`, {
      headers: { authorization: `Bearer ${key}`, accept: 'text/event-stream' },
      timeoutMs: 4500,
    })
    if ('code' in heard)
      return unknown(`${asked.url}: ${heard.message}`, {
        en: 'The stream did not come to its end.',
        zh: '事件流未能完整返回。',
      })
    if (heard.status !== 200 || !heard.type.startsWith('text/event-stream')) {
      return unknown(`answers ${heard.status} ${heard.type}`, {
        en: 'No stream came: see public_address.',
        zh: '未返回事件流，参见 public_address。',
      })
    }
    const spreadMs = heard.atMs.at(-1)! - heard.atMs[0]!
    const evidence = `${heard.atMs.length} pieces over ${spreadMs} ms`
    // The hub lets 1.2 s pass between the first and the last.
    if (spreadMs >= 600) return ok(evidence)
    return bad(
      evidence,
      {
        en: 'The proxy before the hub keeps streams back until they end: answers of models appear all at once.',
        zh: '前置代理缓冲了事件流：模型回答会在结束后一次性出现。',
      },
      {
        en: 'nginx: proxy_buffering off; proxy_http_version 1.1; gzip off for text/event-stream. Others: switch response buffering off.',
        zh: 'nginx：proxy_buffering off; proxy_http_version 1.1; 并对 text/event-stream 关闭 gzip。其他代理请关闭响应缓冲。',
      },
    )
  },
})

export const corsMismatch = defineFinding({
  id: 'cors_mismatch',
  area: 'edge',
  severity: 'major',
  async run(world) {
    const { settings } = world
    const origins = settings?.server.cors_origins ?? []
    if (settings === null || origins.length === 0) return skip('server.cors_origins is empty')
    const near = nearMisses(origins, settings.server.public_url)
    const remedy = {
      en: 'Write origins as browsers do: scheme, host and port, in server.cors_origins; a proxy must pass OPTIONS and access-control headers on as they are.',
      zh: '请在 server.cors_origins 中按浏览器的写法填写来源（协议、主机、端口）；代理须原样转发 OPTIONS 与 access-control 头。',
    }
    if (near.length > 0) {
      return warn(
        near.join('; '),
        {
          en: `Origins differ from the public address in scheme or port only: browsers take them for others.`,
          zh: '部分来源与公网地址仅协议或端口不同：浏览器会视为不同来源。',
        },
        remedy,
      )
    }
    const up = await world.hub()
    if (up?.answered !== true) return skip('no hub runs here')
    const base =
      settings.server.public_url === '' || world.isOffline
        ? ownAddress(settings)
        : settings.server.public_url.replace(/\/$/, '')
    const origin = origins.find((each) => each !== '*') ?? 'https://example.com'
    const answer = await askWeb(`${base}/api/auth/me`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'GET' },
      timeoutMs: 4000,
    })
    if (!answer.answered) return unknown(`${base}: ${answer.message}`, { en: 'Nobody answered.', zh: '无人应答。' })
    const allowed = answer.headers['access-control-allow-origin']
    if (allowed === origin || allowed === '*') return ok(`${base} lets ${origin} in`)
    return bad(
      `${base} answers ${answer.status} with access-control-allow-origin ${allowed === undefined ? 'absent' : String(allowed)}`,
      {
        en: `Browsers of ${origin} are refused: what answers does not name it, though the configuration does.`,
        zh: `来自 ${origin} 的浏览器会被拒绝：应答头未包含该来源，尽管配置允许。`,
      },
      remedy,
    )
  },
})

function nearMisses(origins: readonly string[], publicUrl: string): string[] {
  if (publicUrl === '') return []
  const own = new URL(publicUrl)
  return origins
    .filter(
      (each) =>
        each !== '*' &&
        new URL(each).hostname === own.hostname &&
        new URL(each).origin !== own.origin &&
        !isLocal(own.hostname),
    )
    .map((each) => `${each} is not ${own.origin}`)
}

function isLocal(host: string): boolean {
  return /^(localhost|127\.|\[?::1)/.test(host)
}
