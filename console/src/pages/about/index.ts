import { InfoFilled } from '@element-plus/icons-vue'
import { definePage, defineTexts } from '../../page.ts'

export const about = definePage({
  ...{ name: 'about', path: '/about', group: 'operate', role: 'user', icon: InfoFilled },
  component: () => import('./about.vue'),
  texts: defineTexts(
    {
      title: 'About',
      version: 'Version',
      api: 'Control API',
      node: 'Node.js',
      environment: 'Environment',
      console: 'Console built from',
      licence: 'Licence of Gatehouse',
      documents: 'Reference of the control API',
      packages: 'Packages in it, and their licences',
      package: 'Package',
      of: 'Licence',
      look: 'Look for a package or a licence',
    },
    {
      title: '关于',
      version: '版本',
      api: '控制 API',
      node: 'Node.js',
      environment: '环境',
      console: '控制台构建自',
      licence: 'Gatehouse 许可证',
      documents: '控制 API 参考',
      packages: '所含软件包及其许可证',
      package: '软件包',
      of: '许可证',
      look: '查找软件包或许可证',
    },
  ),
})
