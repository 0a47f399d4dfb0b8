/** Sees each alert when it is first shown, by the clock of whoever looks: those of the nodes are wrong on purpose. */
import type { Node } from './nodes.ts'

type Shown = {
  labels: Record<string, string>
  annotations: Record<string, string>
  starts_at: string
}

const everyMs = 2000

/** Tells `onNew` of every alert once, asking whichever node answers. The function returned looks a last time and ends. */
export function watchAlerts(
  nodes: readonly Pick<Node, 'url'>[],
  adminKey: string,
  onNew: (alert: { name: string; message: string }) => void,
): () => Promise<void> {
  const known = new Set<string>()
  let looking: Promise<void> = Promise.resolve()

  async function ask(state: string): Promise<Shown[]> {
    for (const { url } of nodes) {
      const answer = await fetch(`${url}/api/alerts?state=${state}&limit=200`, {
        headers: { authorization: `Bearer ${adminKey}` },
        signal: AbortSignal.timeout(3000),
      }).catch(() => null)
      if (answer?.ok) return ((await answer.json()) as { data: Shown[] }).data
    }
    return []
  }

  async function look(): Promise<void> {
    // One that came and went between two looks is among the resolved.
    for (const { labels, annotations, starts_at } of [...(await ask('firing')), ...(await ask('resolved'))]) {
      const id = `${JSON.stringify(Object.entries(labels).sort())} ${starts_at}`
      if (known.has(id)) continue
      known.add(id)
      const of = labels.check ?? labels.rule ?? labels.provider ?? labels.collector ?? labels.instance ?? ''
      onNew({ name: `${labels.alertname}(${of})`, message: annotations.description ?? annotations.summary ?? '' })
    }
  }

  const timer = setInterval(() => {
    looking = looking.then(look)
  }, everyMs)
  return async () => {
    clearInterval(timer)
    await looking
    await look()
  }
}
