import { ref } from 'vue'

const place = 'gatehouse.theme'
const preferred = matchMedia('(prefers-color-scheme: dark)')

export const isDark = ref(read())
show()
preferred.addEventListener('change', () => {
  isDark.value = read()
  show()
})

function read(): boolean {
  const kept = localStorage.getItem(place)
  return kept === null ? preferred.matches : kept === 'dark'
}

function show(): void {
  document.documentElement.classList.toggle('dark', isDark.value)
}

export function toggleTheme(): void {
  isDark.value = !isDark.value
  localStorage.setItem(place, isDark.value ? 'dark' : 'light')
  show()
}
