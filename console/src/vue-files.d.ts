declare module '*.vue' {
  import type { DefineComponent } from 'vue'

  const component: DefineComponent<object, object, unknown>
  // biome-ignore lint/style/noDefaultExport: what a file of Vue gives
  export default component
}
