import { connect, type Socket } from 'node:net'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { fail } from '../../kernel/errors.ts'
import type { Upstreams } from '../fetch.ts'
import { findSpot, placeOf, type Spot, serverNameOf, type Target, within } from './dial.ts'

type Way = Pick<Upstreams, 'resolve'>

/** Connects, says `send`, and waits for `until` in what comes back; resolves with all that came, '' when nothing is awaited. */
export async function exchangeTcp(
  way: Way,
  target: Target,
  talk: { send: string; until: string; maxBytes: number },
): Promise<string> {
  const spot = await findSpot(way, target)
  const socket = openSocket(spot)
  const work = (async () => {
    await connected(socket)
    if (talk.send !== '') socket.write(talk.send)
    if (talk.until === '') return ''
    let text = ''
    for await (const chunk of socket) {
      text += (chunk as Buffer).toString('latin1')
      if (Buffer.from(text, 'latin1').toString('utf8').includes(talk.until)) return text
      if (text.length > talk.maxBytes)
        throw fail(
          'upstream_garbled',
          `${placeOf(target)} said more than ${talk.maxBytes} bytes, and not what is awaited.`,
        )
    }
    throw fail('upstream_garbled', `${placeOf(target)} ended without saying what is awaited.`)
  })()
  return await within(work, target, () => socket.destroy()).finally(() => socket.destroy())
}

export type Certificate = {
  subject: string
  issuer: string
  /** Epoch ms. */
  validFrom: number
  validTo: number
  /** Why a client would not trust it, such as CERT_HAS_EXPIRED; '' when it would. */
  distrust: string
}

/** The certificate that a server shows, trusted or not: whoever asks wants to know about bad ones too. */
export async function readCertificate(
  way: Way,
  target: Target & { serverName: string; startTls: 'none' | 'smtp' },
): Promise<Certificate> {
  const spot = await findSpot(way, target)
  const plain = openSocket(spot)
  const work = (async () => {
    await connected(plain)
    if (target.startTls === 'smtp') {
      const talk = createLines(plain, target)
      await talk.expect('220')
      await talk.say('EHLO gatehouse', '250')
      await talk.say('STARTTLS', '220')
      talk.end()
    }
    const name = target.serverName || serverNameOf(target.host)
    const secure = connectTls({
      socket: plain,
      ...(name === '' ? { host: target.host } : { servername: name, host: name }),
      rejectUnauthorized: false,
    })
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve)
      secure.once('error', reject)
      secure.once('close', () => reject(fail('upstream_garbled', `${placeOf(target)} speaks no TLS.`)))
    })
    const shown = secure.getPeerCertificate()
    const trouble = secure.authorizationError as unknown as string | (Error & { code?: string }) | null
    secure.destroy()
    if (!shown?.valid_to) throw fail('upstream_garbled', `${placeOf(target)} shows no certificate.`)
    return toCertificate(shown, trouble)
  })()
  return await within(work, target, () => plain.destroy()).finally(() => plain.destroy())
}

function toCertificate(shown: PeerCertificate, trouble: string | (Error & { code?: string }) | null): Certificate {
  const distrust =
    trouble === null || trouble === undefined
      ? ''
      : typeof trouble === 'string'
        ? trouble
        : (trouble.code ?? trouble.message)
  return {
    subject: nameOf(shown.subject),
    issuer: nameOf(shown.issuer),
    validFrom: Date.parse(shown.valid_from),
    validTo: Date.parse(shown.valid_to),
    distrust,
  }
}

function nameOf(subject: PeerCertificate['subject'] | undefined): string {
  const name = subject?.CN ?? subject?.O ?? ''
  return (Array.isArray(name) ? name.join(', ') : name).slice(0, 200)
}

/** Greets a mail server as one does before a mail, and leaves: https://www.rfc-editor.org/rfc/rfc5321#section-4.1.1.1 */
export async function greetSmtp(
  way: Way,
  target: Target & { security: 'none' | 'starttls' | 'tls'; user: string; password: string },
): Promise<string> {
  const spot = await findSpot(way, target)
  const plain = openSocket(spot)
  let last: Socket = plain
  const encrypt = async () => {
    const name = serverNameOf(target.host)
    const secure = connectTls({ socket: plain, ...(name === '' ? { host: target.host } : { servername: name }) })
    last = secure
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve)
      secure.once('error', reject)
    })
    return secure
  }
  const work = (async () => {
    await connected(plain)
    let talk = createLines(target.security === 'tls' ? await encrypt() : plain, target)
    const greeting = await talk.expect('220')
    await talk.say('EHLO gatehouse', '250')
    if (target.security === 'starttls') {
      await talk.say('STARTTLS', '220')
      talk.end()
      talk = createLines(await encrypt(), target)
      await talk.say('EHLO gatehouse', '250')
    }
    if (target.user !== '') {
      const plainLogin = Buffer.from(`\0${target.user}\0${target.password}`).toString('base64')
      await talk.say(`AUTH PLAIN ${plainLogin}`, '235')
    }
    await talk.say('QUIT', '221')
    return greeting
  })()
  return await within(work, target, () => last.destroy()).finally(() => {
    last.destroy()
    plain.destroy()
  })
}

/** A reply of several lines ends with the one that has a space after its code. */
function createLines(socket: Socket, target: Target) {
  let text = ''
  let hear: () => void = () => {}
  let ended: unknown = null
  const onData = (chunk: Buffer) => {
    text += chunk.toString('latin1')
    hear()
  }
  const onEnd = (error?: unknown) => {
    ended = error ?? fail('upstream_garbled', `${placeOf(target)} ended in the middle of the conversation.`)
    hear()
  }
  socket
    .on('data', onData)
    .on('error', onEnd)
    .on('close', () => onEnd())
  const expect = async (code: string): Promise<string> => {
    for (;;) {
      const whole = /^(?:\d{3}-[^\n]*\n)*(\d{3})(?: [^\n]*)?\r?\n/.exec(text)
      if (whole !== null) {
        text = text.slice(whole[0].length)
        if (whole[1] !== code) {
          // What a server says may repeat what was sent; only its code is told.
          throw fail('upstream_garbled', `${placeOf(target)} answers ${whole[1]} where ${code} is awaited.`)
        }
        return whole[0].trim()
      }
      if (text.length > 16_384) throw fail('upstream_garbled', `${placeOf(target)} does not speak SMTP.`)
      if (ended !== null) throw ended
      await new Promise<void>((resolve) => {
        hear = resolve
      })
    }
  }
  return {
    expect,
    say(line: string, code: string) {
      socket.write(`${line}\r\n`)
      return expect(code)
    },
    end() {
      socket.off('data', onData)
    },
  }
}

function openSocket({ address, port }: Spot): Socket {
  const socket = connect({ host: address, port })
  // Whoever waits hears it too; without a listener it would end the process.
  socket.on('error', () => {})
  return socket
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
}
