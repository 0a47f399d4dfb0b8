import Database from 'better-sqlite3'

export type NewItem = { name: string; description: string | null; price: number }
export type Item = NewItem & { id: number }

/** The items in a database file: they are there after a restart, which the ancestor's were not. */
export function createItems(path: string) {
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.exec(
    'create table if not exists items (id integer primary key autoincrement, name text not null, description text, price real not null)',
  )
  const find = db.prepare<[number], Item>('select id, name, description, price from items where id = ?')
  const all = db.prepare<[], Item>('select id, name, description, price from items order by id')
  const count = db.prepare<[], { count: number }>('select count(*) as count from items')
  const insert = db.prepare<[string, string | null, number]>(
    'insert into items (name, description, price) values (?, ?, ?)',
  )
  const update = db.prepare<[string, string | null, number, number]>(
    'update items set name = ?, description = ?, price = ? where id = ?',
  )
  const remove = db.prepare<[number]>('delete from items where id = ?')

  return {
    isOpen: () => db.open && count.get() !== undefined,
    all: () => all.all(),
    count: () => count.get()!.count,
    find: (id: number) => find.get(id),
    create({ name, description, price }: NewItem): Item {
      const { lastInsertRowid } = insert.run(name, description, price)
      return find.get(Number(lastInsertRowid))!
    },
    update(id: number, { name, description, price }: NewItem): Item {
      update.run(name, description, price, id)
      return find.get(id)!
    },
    delete: (id: number) => void remove.run(id),
  }
}

/** What a caller sent as an item, or what is wrong with it. */
export function readItem(body: unknown): { ok: true; item: NewItem } | { ok: false; why: string } {
  if (typeof body !== 'object' || body === null) return { ok: false, why: 'send a JSON object' }
  const { name, description = null, price } = body as Record<string, unknown>
  if (typeof name !== 'string' || name.trim() === '') return { ok: false, why: 'name must be a text' }
  if (description !== null && typeof description !== 'string') return { ok: false, why: 'description must be a text' }
  if (typeof price !== 'number' || !Number.isFinite(price) || price < 0) {
    return { ok: false, why: 'price must be a number of 0 or more' }
  }
  return { ok: true, item: { name, description, price } }
}
