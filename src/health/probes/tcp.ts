import { z } from 'zod'
import { exchangeTcp } from '../../platform/dial/sockets.ts'
import { host, port } from '../shapes.ts'
import { defineProbe, ok } from './probe.ts'

export const tcpProbe = defineProbe({
  type: 'tcp',
  describe: { en: 'A port takes connections, and says what is awaited.', zh: '端口可以连接，并返回期望内容。' },
  parameters: z.strictObject({
    host,
    port,
    send: z.string().max(4096).default('').describe('Sent once connected.'),
    expect: z.string().max(500).default('').describe('Text that must come back; empty to only connect.'),
  }),
  secrets: ['send'],
  target: ({ host }) => host,
  async run({ host, port, send, expect }, { way, timeoutMs }) {
    await exchangeTcp(way, { host, port, timeoutMs }, { send, until: expect, maxBytes: 65_536 })
    return ok(expect === '' ? 'Takes connections.' : 'Says what is awaited.')
  },
})
