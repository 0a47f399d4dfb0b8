import { z } from 'zod'
import { readCertificate } from '../../platform/dial/sockets.ts'
import { host, port } from '../shapes.ts'
import { defineProbe, failed, ok } from './probe.ts'

const dayMs = 86_400_000

export const tlsProbe = defineProbe({
  type: 'tls',
  describe: { en: 'A certificate is trusted and does not run out soon.', zh: '证书可信且未临近过期。' },
  parameters: z.strictObject({
    host,
    port: port.default(443),
    server_name: z.string().max(253).default('').describe('The name asked for; the host unless said.'),
    start_tls: z.enum(['none', 'smtp']).default('none'),
    warn_days: z.number().min(0).max(3650).default(21),
    fail_days: z.number().min(0).max(3650).default(7),
    allow_untrusted: z
      .boolean()
      .default(false)
      .describe('For certificates of an authority of your own: only their end is judged.'),
  }),
  secrets: [],
  target: ({ host }) => host,
  async run(parameters, { way, timeoutMs, clock }) {
    const { host, port, warn_days: warnDays, fail_days: failDays } = parameters
    const certificate = await readCertificate(way, {
      ...{ host, port, timeoutMs, serverName: parameters.server_name, startTls: parameters.start_tls },
    })
    const days = (certificate.validTo - clock.now()) / dayMs
    const daysLeft = Math.floor(days * 10) / 10
    const observed = {
      daysLeft,
      validTo: new Date(certificate.validTo).toISOString(),
      subject: certificate.subject,
      issuer: certificate.issuer,
    }
    if (days <= 0) return failed('certificate', `The certificate ran out ${Math.floor(-days)} days ago.`, observed)
    if (certificate.validFrom > clock.now()) return failed('certificate', 'The certificate is not valid yet.', observed)
    if (certificate.distrust !== '' && !parameters.allow_untrusted) {
      return failed('certificate', `The certificate is not trusted (${certificate.distrust}).`, observed)
    }
    if (days <= failDays) return failed('certificate', `The certificate runs out in ${daysLeft} days.`, observed)
    if (days <= warnDays)
      return {
        outcome: 'warn',
        reason: 'certificate',
        message: `The certificate runs out in ${daysLeft} days.`,
        observed,
      }
    return ok(`The certificate is good for ${daysLeft} days.`, observed)
  },
})
