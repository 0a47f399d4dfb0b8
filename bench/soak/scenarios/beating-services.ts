import { readFileSync } from 'node:fs'
import http from 'node:http'
import { finding, type Ground, type Scenario } from './scenario.ts'

const services = 500
const beatsEachSecond = 50
const warmUpSeconds = 5

/** Each plugin service sends a heartbeat every ten seconds; what the hub's process spends on that is measured. */
export const beatingServices: Scenario = {
  name: 'services: 500 of them that beat every ten seconds cost little',
  async run(ground) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 32 })
    const beats = await registerAll(ground, agent)
    const idle = await spend(ground, 10, async () => {})
    let sent = 0
    const beat = () => beats[sent++ % services]!()
    await spend(ground, warmUpSeconds, beat)
    const seconds = Math.max(20, Math.min(ground.minutes * 60, 120))
    const busy = await spend(ground, seconds, beat)
    agent.destroy()
    ground.say(
      `one core is used to ${idle.toFixed(2)} % without heartbeats, to ${busy.toFixed(2)} % with ${beatsEachSecond}/s`,
    )
    const health = await ground.hub.admin('GET', '/api/registry/health')
    return [
      finding('CPU of the hub for the heartbeats of 500 services', busy - idle, '% of one core', 10),
      finding('services that are not passing', services - (health.instances.passing ?? 0), '', 0),
    ]
  },
}

/** The heartbeat of each. */
async function registerAll({ hub }: Ground, agent: http.Agent): Promise<(() => Promise<void>)[]> {
  const { token } = await hub.admin('POST', '/api/registry/tokens', { prefix: 'plugin-', uses: services })
  const beats: (() => Promise<void>)[] = []
  for (let i = 0; i < services; i++) {
    const name = `plugin-${i}`
    const manifest = { name, host: '127.0.0.1', port: 20_000 + i }
    const told = await post(`${hub.url()}/api/registry/register`, agent, token, manifest, 201)
    const { service_token } = JSON.parse(told) as { service_token: string }
    beats.push(async () => {
      await post(`${hub.url()}/api/registry/heartbeat`, agent, service_token, { service_id: name }, 200)
    })
  }
  return beats
}

/** Calls `work` fifty times a second; how much of one core the hub used meanwhile, in percent. */
async function spend({ hub }: Ground, seconds: number, work: () => Promise<void>): Promise<number> {
  const before = cpuSeconds(hub.run().pid)
  const startedAt = performance.now()
  const under: Promise<void>[] = []
  for (let done = 0; done < seconds * beatsEachSecond; done++) {
    const dueInMs = startedAt + (done * 1000) / beatsEachSecond - performance.now()
    if (dueInMs > 0) await new Promise((resolve) => setTimeout(resolve, dueInMs))
    under.push(work())
  }
  await Promise.all(under)
  return ((cpuSeconds(hub.run().pid) - before) / ((performance.now() - startedAt) / 1000)) * 100
}

/** User and system time of a process with all its threads: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function post(url: string, agent: http.Agent, as: string, body: object, wanted: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${as}`, 'content-type': 'application/json' }
    const request = http.request(url, { method: 'POST', agent, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('end', () =>
        response.statusCode === wanted
          ? resolve(text)
          : reject(new Error(`${url} answered ${response.statusCode}: ${text}`)),
      )
    })
    request.on('error', reject)
    request.end(JSON.stringify(body))
  })
}
