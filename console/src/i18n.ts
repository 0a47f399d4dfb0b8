import { createI18n } from 'vue-i18n'
import { speak } from './api.ts'
import { shell } from './locales/shell.ts'
import { pages } from './pages/index.ts'

export const languages = ['zh-CN', 'en'] as const
export type Language = (typeof languages)[number]

const place = 'gatehouse.language'

function wanted(): Language {
  const kept = localStorage.getItem(place)
  if (kept === 'zh-CN' || kept === 'en') return kept
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en'
}

const messagesOf = (language: Language) => ({
  ...shell[language],
  ...Object.fromEntries(pages.map(({ name, texts }) => [name, texts[language]])),
})

export const i18n = createI18n({
  legacy: false,
  locale: wanted() as string,
  fallbackLocale: 'en',
  messages: Object.fromEntries(languages.map((language) => [language, messagesOf(language)])),
})

export function currentLanguage(): Language {
  return i18n.global.locale.value as Language
}

export function setLanguage(language: Language): void {
  localStorage.setItem(place, language)
  i18n.global.locale.value = language
  document.documentElement.lang = language
  speak(language)
}

setLanguage(wanted())
