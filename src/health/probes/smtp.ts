import { z } from 'zod'
import { greetSmtp } from '../../platform/dial/sockets.ts'
import { host, port } from '../shapes.ts'
import { defineProbe, ok } from './probe.ts'

export const smtpProbe = defineProbe({
  type: 'smtp',
  describe: { en: 'A mail server greets, encrypts and lets in.', zh: '邮件服务器可以握手、加密并登录。' },
  parameters: z
    .strictObject({
      host,
      port: port.default(25),
      security: z.enum(['none', 'starttls', 'tls']).default('none'),
      user: z.string().max(200).default(''),
      password: z.string().max(1000).default('').describe('Sealed, never shown.'),
    })
    .refine(({ user, security }) => user === '' || security !== 'none', {
      error: 'a password is only sent encrypted: choose starttls or tls',
      path: ['security'],
    }),
  secrets: ['password'],
  target: ({ host }) => host,
  async run(parameters, { way, timeoutMs }) {
    await greetSmtp(way, { ...parameters, timeoutMs })
    return ok(parameters.user === '' ? 'Greets.' : 'Greets and lets in.')
  },
})
