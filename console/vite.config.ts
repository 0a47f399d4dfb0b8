import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

const hub = process.env.GATEHOUSE_URL ?? 'http://127.0.0.1:8000'

// biome-ignore lint/style/noDefaultExport: vite reads the default export
export default defineConfig({
  // Relative addresses: the hub may stand below any path of a proxy.
  base: './',
  plugins: [vue()],
  define: { __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false', __INTLIFY_JIT_COMPILATION__: 'true' },
  server: {
    port: 5173,
    proxy: Object.fromEntries(
      ['/api', '/v1', '/v1beta', '/health', '/metrics', '/openapi.json', '/docs'].map((path) => [path, hub]),
    ),
  },
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 700,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
})
