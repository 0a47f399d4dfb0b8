import { createHmac, timingSafeEqual } from 'node:crypto'
import { fail } from '../../kernel/errors.ts'
import type { Secrets } from '../../platform/secrets.ts'

export type AckClaim = {
  incidentId: string
  /** Of the escalation it was sent in: it acknowledges no later one. */
  cycle: number
  /** Whom it was sent to; '' for a channel of many. */
  person: string
  expiresAt: number
}

/**
 * Links that acknowledge one incident and do nothing else: signed under a key of their own, so that no other signature of
 * ours is one, and no such link opens anything else.
 */
export function createAckLinks(secrets: Pick<Secrets, 'derive'>) {
  const key = secrets.derive('incident acknowledge link v1')
  const sign = (payload: string) => createHmac('sha256', key).update(payload).digest('base64url')
  return {
    write(claim: AckClaim): string {
      const { incidentId, cycle, person, expiresAt } = claim
      const payload = Buffer.from(JSON.stringify([incidentId, cycle, person, expiresAt])).toString('base64url')
      return `${payload}.${sign(payload)}`
    },
    /** Throws `invalid_token` for what is not ours, was changed, is of another incident or too old. */
    read(token: string, incidentId: string, now: number): AckClaim {
      const [payload = '', signature = '', ...rest] = token.split('.')
      const [given, wanted] = [Buffer.from(signature), Buffer.from(sign(payload))]
      if (rest.length > 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw refused()
      const [id, cycle, person, expiresAt] = JSON.parse(Buffer.from(payload, 'base64url').toString()) as [
        ...[string, number, string, number],
      ]
      if (id !== incidentId || now >= expiresAt) throw refused()
      return { incidentId: id, cycle, person, expiresAt }
    },
  }
}

function refused() {
  return fail('invalid_token', 'This link is not valid or has expired: acknowledge the incident in the console', {
    param: 'token',
  })
}

export type AckLinks = ReturnType<typeof createAckLinks>
