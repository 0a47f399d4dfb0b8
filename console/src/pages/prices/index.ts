import { PriceTag } from '@element-plus/icons-vue'
import { defineList, defineTexts } from '../../page.ts'

export const prices = defineList({
  ...{ name: 'prices', path: '/prices', group: 'money', role: 'super_admin', icon: PriceTag },
  resource: {
    list: 'api/prices',
    columns: [
      { key: 'model' },
      { key: 'provider_type' },
      { key: 'input_usd' },
      { key: 'output_usd' },
      { key: 'cached_read_usd' },
      { key: 'service_tier' },
      { key: 'origin' },
      { key: 'effective_from', show: 'moment' },
    ],
    create: { path: '/api/prices', first: ['model', 'input_usd', 'output_usd', 'cached_read_usd', 'effective_from'] },
  },
  texts: defineTexts(
    { title: 'Prices', about: 'USD per million tokens: the shipped book, and your own above it.', create: 'New price' },
    { title: '价格', about: '每百万 token 的美元价：内置价目与您自己的价格（优先）。', create: '新建价格' },
  ),
})
