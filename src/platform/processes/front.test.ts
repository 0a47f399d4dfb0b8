import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { silentLog } from '../testing.ts'
import { createFront, type Front, type Server } from './front.ts'

const open: (Socket | Front)[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await ('destroy' in each ? each.destroy() : each.close())
})

async function start() {
  const front = createFront({ host: '127.0.0.1', port: 0, log: silentLog })
  open.push(front)
  const { port } = await front.listen()
  const call = async () => {
    const socket = connect(port, '127.0.0.1')
    open.push(socket)
    await once(socket, 'connect')
    return socket
  }
  return { front, call }
}

/** Remembers what it was given, and takes it when told. */
function createWorker(): Server & { given: { id: number; connection: Socket }[] } {
  const given: { id: number; connection: Socket }[] = []
  return {
    given,
    send(id, connection, sent) {
      given.push({ id, connection })
      sent(null)
    },
  }
}

test('connections go to the workers in turn', async () => {
  const { front, call } = await start()
  const [one, two] = [createWorker(), createWorker()]
  front.add(one)
  front.add(two)
  for (let i = 0; i < 4; i++) await call()
  await vi.waitFor(() => expect([one.given.length, two.given.length]).toEqual([2, 2]))
})

test('a caller who comes while no worker is there waits for the next one', async () => {
  const { front, call } = await start()
  const caller = await call()
  const worker = createWorker()
  front.add(worker)
  await vi.waitFor(() => expect(worker.given).toHaveLength(1))
  expect(caller.destroyed).toBe(false)
})

test('what a worker had not taken when it died is given to another, and what it had taken is not', async () => {
  const { front, call } = await start()
  const [dying, other] = [createWorker(), createWorker()]
  front.add(dying)
  await call()
  await call()
  await vi.waitFor(() => expect(dying.given).toHaveLength(2))
  front.took(dying, dying.given[0]!.id)
  front.add(other)
  front.remove(dying)
  expect(other.given.map(({ connection }) => connection)).toEqual([dying.given[1]!.connection])
})

test('a worker that rests is given nothing new, and keeps what is on its way to it', async () => {
  const { front, call } = await start()
  const [resting, other] = [createWorker(), createWorker()]
  front.add(resting)
  await call()
  await vi.waitFor(() => expect(resting.given).toHaveLength(1))
  front.rest(resting)
  front.add(other)
  await call()
  await call()
  await vi.waitFor(() => expect(other.given).toHaveLength(2))
  expect(resting.given).toHaveLength(1)
})

test('what cannot be sent to a worker is given to the next', async () => {
  const { front, call } = await start()
  const worker = createWorker()
  const gone: Server = { send: (_id, _connection, sent) => sent(new Error('it is gone')) }
  front.add(gone)
  front.add(worker)
  await call()
  await call()
  await vi.waitFor(() => expect(worker.given).toHaveLength(2))
})
