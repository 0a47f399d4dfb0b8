import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../kernel/clock.ts'
import { engines } from '../../platform/database/testing.ts'
import { silentLog } from '../../platform/testing.ts'
import { createServicesStore } from '../store.ts'
import { demoManifest, openRegistryNode, registerNew } from '../testing.ts'
import { createCatalogue } from './catalogue.ts'

describe.each(engines())('the table in memory on $name', ({ address }) => {
  async function openCatalogue() {
    const node = await openRegistryNode(await address())
    const { reply } = await registerNew(node)
    await registerNew(node, demoManifest({ name: 'second' }))
    const real = createServicesStore(node.database.kysely)
    const store = { ...real, isAway: false }
    store.readAll = () => (store.isAway ? Promise.reject(new Error('away')) : real.readAll())
    const clock = createManualClock()
    const catalogue = createCatalogue({ store, clock, log: silentLog })
    await catalogue.ready()
    return { catalogue, store, instanceId: String(reply.instance_id), clock }
  }

  test('an instance whose removal was committed is gone though the store went away before it could be read', async () => {
    const { catalogue, store, instanceId } = await openCatalogue()
    await store.deleteInstances([instanceId])
    store.isAway = true
    await catalogue.apply([instanceId])
    expect(catalogue.directory.find('demo-service')!.instances).toEqual([])
    expect(catalogue.directory.find('second')!.instances).toHaveLength(1)
    expect(catalogue.isStale()).toBe(true)
    store.isAway = false
    await catalogue.apply()
    expect([catalogue.directory.find('demo-service')!.instances, catalogue.isStale()]).toEqual([[], false])
  })

  test('listeners hear the names that changed, and what did not change is the same object', async () => {
    const { catalogue, store, instanceId } = await openCatalogue()
    const heard: string[] = []
    const stop = catalogue.directory.onChange((name) => heard.push(name))
    const before = catalogue.directory.find('second')
    await store.noteHeard([instanceId], 5)
    await catalogue.apply()
    expect(heard).toEqual([])
    await store.setFacts([{ ids: [instanceId], facts: { reported: 'draining' } }], 7)
    await catalogue.apply()
    expect([heard, catalogue.directory.find('second') === before]).toEqual([['demo-service'], true])
    expect(catalogue.directory.find('demo-service')!.instances[0]!.state).toBe('draining')
    stop()
    await store.deleteService(catalogue.find('demo-service')!.row.id)
    await catalogue.apply()
    expect([heard, catalogue.directory.find('demo-service')]).toEqual([['demo-service'], undefined])
  })
})
