import { createFolderStore } from './folder.ts'
import type { ObjectStore } from './object-store.ts'

export { createFolderStore } from './folder.ts'
export type { ObjectSink, ObjectStore, StoredObject } from './object-store.ts'

/** Where objects are kept, as plain data: threads open it for themselves. */
export type ObjectPlace = { kind: 'folder'; path: string }

export function openObjectStore(place: ObjectPlace): ObjectStore {
  return createFolderStore(place.path)
}
