import './kit.css'
import 'element-plus/theme-chalk/dark/css-vars.css'
import './style.css'
import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { ApiError, whenSignedOut } from './api.ts'
import App from './app.vue'
import { i18n } from './i18n.ts'
import { openLogin, router } from './router.ts'
import { useSession } from './session.ts'

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      refetchOnWindowFocus: true,
      // What the hub refused it will refuse again.
      retry: (failures, error) =>
        failures < 2 && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500),
    },
  },
})

const app = createApp(App)
app.use(createPinia()).use(i18n).use(router).use(VueQueryPlugin, { queryClient: queries })
whenSignedOut(() => {
  useSession().forget()
  queries.clear()
  openLogin()
})
app.mount('#app')
