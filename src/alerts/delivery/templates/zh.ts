import type { Words } from './words.ts'

export const chinese: Words = {
  title:
    '【{{status_text}}{{#firing_count}} {{firing_count}}{{/firing_count}}】{{severity_text}}：{{name}}{{#scope}}（{{scope}}）{{/scope}}',
  body: `# {{status_text}}：{{name}}
**{{severity_text}}**{{#scope}} · {{scope}}{{/scope}} · {{reason_text}}

{{#alerts}}
**{{name}}** · {{severity_text}} · {{status_text}}
{{summary}}
{{description}}
- 开始时间：{{starts_at}}{{#ends_at}}，恢复时间：{{ends_at}}，持续 {{duration}}{{/ends_at}}
{{#labels_text}}
- {{labels_text}}
{{/labels_text}}
{{#runbook_url}}
- [处理手册]({{runbook_url}})
{{/runbook_url}}
{{#source_url}}
- [查看来源]({{source_url}})
{{/source_url}}

{{/alerts}}
{{#hidden_count}}
被其抑制的告警（{{hidden_count}}）：{{hidden_text}}
{{/hidden_count}}
{{#url}}
[在 Gatehouse 中查看]({{url}})
{{/url}}
追踪号 {{trace_id}}`,
  status: { firing: '告警', resolved: '已恢复' },
  severity: { critical: '严重', high: '高', warning: '警告', info: '提示' },
  reason: {
    first: '首次通知',
    new_alerts: '新增告警',
    new_resolved: '部分恢复',
    all_resolved: '全部恢复',
    repeat: '仍未恢复',
    escalation: '升级',
    digest: '汇总',
    test: '测试',
  },
  more: (alerts) => ({ kind: 'text', alert: -1, spans: [{ text: `另有 ${alerts} 条` }] }),
  shortened: { kind: 'text', alert: -1, spans: [{ text: '……（已截断）' }] },
  templateFailed: (why) => `（本渠道的自定义模板出错，以下为内置文本：${why}）`,
  test: { title: '渠道测试', text: '系统一切正常：这是人工或夜间自动的渠道测试。' },
  days: '天',
}
