/**
 * A promise that one node at a time runs a job. A lease ends by itself `ttlMs` after its last renewal, so a dead node
 * blocks nobody for longer than that.
 */
export type Leases = {
  /** Takes the lease, or renews it when this node holds it. `false` when another node does. */
  acquire(name: string, ttlMs: number): Promise<boolean>
  /** Gives the lease back early; nothing happens when another node holds it. */
  release(name: string): Promise<void>
  close(): Promise<void>
}
