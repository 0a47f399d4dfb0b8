import type { Duplex } from 'node:stream'
import type { Clock } from '../../kernel/clock.ts'
import type { BudgetKey, Charge, Demand, Hold } from '../counter/counter.ts'
import { createMemoryCounter } from '../counter/memory.ts'
import type { Leases } from '../lease/lease.ts'
import { createMemoryLeases, type LeaseBook } from '../lease/memory.ts'
import type { Member, Said, Told, Verb } from './messages.ts'
import { createWire, type Wire } from './wire.ts'

/**
 * What the processes of one node share, in the one process that does nothing else: limits and budgets are counted here,
 * leases granted, announcements passed on, and the workers' metrics handed to who shows them.
 */
export type Switchboard = {
  /** A process is connected by `stream`; the verb returned gives back what it held and forgets it. */
  join(name: string, kind: Member['kind'], stream: Duplex): () => void
  /** Tells everybody how everybody is. */
  tell(members: readonly Member[]): void
}

type Line = { name: string; kind: Member['kind']; wire: Wire; leases: Leases }

export function createSwitchboard({ clock }: { clock: Clock }): Switchboard {
  const counter = createMemoryCounter({ clock })
  const book: LeaseBook = new Map()
  const lines = new Set<Line>()
  let family: readonly Member[] = []

  function verb(leases: Leases, name: Verb, args: unknown[]): unknown {
    switch (name) {
      case 'admit':
        return counter.admit(...(args as [string, Demand[], number]))
      case 'settle':
        return counter.settle(...(args as [string, Charge[]]))
      case 'renew':
        return counter.renew(...(args as [Hold[], number]))
      case 'raise':
        return counter.raise(...(args as [BudgetKey, number]))
      case 'read':
        return counter.read(...(args as [string[]]))
      case 'acquire':
        return leases.acquire(...(args as [string, number]))
      case 'release':
        return leases.release(...(args as [string]))
    }
  }

  async function answer({ wire, leases }: Line, id: number, name: Verb, args: unknown[]): Promise<void> {
    try {
      const value = verb(leases, name, args)
      tellOne(wire, ['answer', id, value instanceof Promise ? await value : value])
    } catch (error) {
      tellOne(wire, ['refuse', id, error instanceof Error ? error.message : String(error)])
    }
  }

  function hear(line: Line, said: Said): void {
    if (said[0] === 'ask') return void answer(line, said[1], said[2], said[3])
    for (const other of lines) {
      if (other === line) continue
      if (said[0] === 'announce') tellOne(other.wire, ['announced', said[1], said[2]])
      else if (other.kind === 'control') tellOne(other.wire, ['metrics', line.name, said[1]])
    }
  }

  return {
    join(name, kind, stream) {
      const wire = createWire(stream, (said) => hear(line, said as Said))
      const line: Line = { name, kind, wire, leases: createMemoryLeases({ clock, book }) }
      lines.add(line)
      tellOne(wire, ['family', [...family]])
      return () => {
        lines.delete(line)
        wire.close()
        void line.leases.close()
      }
    },
    tell(members) {
      family = members
      for (const { wire } of lines) tellOne(wire, ['family', [...members]])
    },
  }
}

function tellOne(wire: Wire, told: Told): void {
  wire.send(told)
}
