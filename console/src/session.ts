import { defineStore } from 'pinia'
import { computed, ref } from 'vue'
import { api, type Person, type TokensReply, toTokens } from './api.ts'
import { heldTokens, keepTokens } from './tokens.ts'

export type Role = Person['role']
const ranks: Record<Role, number> = { user: 0, tenant_admin: 1, super_admin: 2 }

/** Who uses this browser. */
export const useSession = defineStore('session', () => {
  const person = ref<Person | null>(null)
  const isSignedIn = computed(() => person.value !== null)

  /** Reads who it is, where tokens are held; false when nobody is signed in. */
  async function load(): Promise<boolean> {
    if (person.value !== null) return true
    if (heldTokens() === null) return false
    person.value = await api<Person>('GET', 'api/auth/me')
    return true
  }

  function enter(given: TokensReply): void {
    keepTokens(toTokens(given))
    person.value = given.user
  }

  async function leave(): Promise<void> {
    // The session ends here even where the hub cannot be told.
    await api('POST', 'api/auth/logout').catch(() => {})
    keepTokens(null)
    forget()
  }

  function forget(): void {
    person.value = null
  }

  const may = (role: Role): boolean => person.value !== null && ranks[person.value.role] >= ranks[role]

  return { person, isSignedIn, load, enter, leave, forget, may }
})
