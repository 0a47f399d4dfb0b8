import { dnsProbe } from './dns.ts'
import { httpProbe } from './http.ts'
import { hubProbe } from './hub.ts'
import { mysqlProbe } from './mysql.ts'
import { postgresProbe } from './postgres.ts'
import type { Probe } from './probe.ts'
import { providerProbe } from './provider.ts'
import { pushProbe } from './push.ts'
import { redisProbe } from './redis.ts'
import { serviceProbe } from './service.ts'
import { smtpProbe } from './smtp.ts'
import { sseProbe } from './sse.ts'
import { suiteProbe } from './suite.ts'
import { tcpProbe } from './tcp.ts'
import { tlsProbe } from './tls.ts'
import { websocketProbe } from './websocket.ts'

/** Every kind of check that people can configure. */
export const probes: readonly Probe[] = [
  httpProbe,
  tcpProbe,
  dnsProbe,
  tlsProbe,
  postgresProbe,
  mysqlProbe,
  redisProbe,
  smtpProbe,
  websocketProbe,
  sseProbe,
  pushProbe,
  serviceProbe,
  providerProbe,
  hubProbe,
  suiteProbe,
]
