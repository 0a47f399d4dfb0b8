/** One thing that can be wrong, made for real, found by the doctor and unmade. */
export type Fault = {
  /** A sentence; the name of its test. */
  name: string
  /** Id of the finding that must say it. */
  finds: string
  status?: 'fail' | 'warn'
  /** What the cause must name, and what the remedy must say. */
  cause: RegExp
  remedy: RegExp
  /** Makes it: what the doctor is asked with besides. */
  make(bench: Bench): Promise<Made> | Made
}

export type Made = { args?: readonly string[]; env?: Record<string, string> }

/** What faults are made of. Whatever is changed here is unmade after each of them. */
export type Bench = {
  /** A folder that goes with the fault. */
  folder(): string
  /** The data folder of a hub that is well, as a copy that may be broken. */
  hubCopy(): string
  /** Statements on the copy's store, while no hub has it open. */
  change(dataDir: string, ...statements: string[]): void
  /** A full row, with something harmless in each column that is not said. */
  insert(dataDir: string, table: string, row: Record<string, string | number>): void
  /** A server that says `words` to everybody, at once or after their first bytes; its port. */
  speaking(words: string, isFirst?: boolean): Promise<number>
  /** An HTTP server; its port. */
  web(answer: (path: string) => { status: number; body: string; type?: string }): Promise<number>
  /** A TLS server with a certificate of its own that ends in so many days; its port. */
  tls(days: number): Promise<number>
  /** Mounts a disk of so many KiB; needs root. */
  disk(sizeKib: number, options?: string): string
  /** What the vendor of the template's provider answers from now on. */
  vendor(status: number, body: unknown): void
  /** The test server, as an administrator; a database and a role of this fault's own; its address with changes. */
  postgres: {
    admin(statement: string): Promise<void>
    /** A migrated database that belongs to a role of its own. */
    own(): Promise<{ url: string; name: string }>
    changed(change: (url: URL) => void): string
  }
  /** A Redis of the bench's own: settings are put back after each fault. */
  redis: {
    url: string
    password(): Promise<string>
    set(name: string, value: string): Promise<void>
    command(...args: string[]): Promise<void>
  }
  undo(how: () => Promise<unknown> | unknown): void
}
