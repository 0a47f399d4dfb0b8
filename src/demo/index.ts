/**
 * What `--demo` adds, so that a newcomer sees a working hub before owning a single provider key: a built-in provider
 * that makes up answers, two models, a plugin service, and a month of synthetic traffic. Everything it makes is marked as synthetic and
 * goes away with `gatehouse demo remove`. It is not a test double: the tests have their own providers.
 */
export { createDemo, type Demo, type DemoParts } from './demo.ts'
export { isDemoPlugin } from './plugin.ts'
export { createDemoServer, isDemo } from './server.ts'
