import type { Words } from './words.ts'

export const english: Words = {
  title:
    '[{{status_text}}{{#firing_count}} {{firing_count}}{{/firing_count}}] {{severity_text}}: {{name}}{{#scope}} ({{scope}}){{/scope}}',
  body: `# {{status_text}}: {{name}}
**{{severity_text}}**{{#scope}} · {{scope}}{{/scope}} · {{reason_text}}

{{#alerts}}
**{{name}}** · {{severity_text}} · {{status_text}}
{{summary}}
{{description}}
- Since {{starts_at}}{{#ends_at}}, over at {{ends_at}} after {{duration}}{{/ends_at}}
{{#labels_text}}
- {{labels_text}}
{{/labels_text}}
{{#runbook_url}}
- [Runbook]({{runbook_url}})
{{/runbook_url}}
{{#source_url}}
- [Source]({{source_url}})
{{/source_url}}

{{/alerts}}
{{#hidden_count}}
Hidden behind this ({{hidden_count}}): {{hidden_text}}
{{/hidden_count}}
{{#url}}
[Open in Gatehouse]({{url}})
{{/url}}
Trace {{trace_id}}`,
  status: { firing: 'Firing', resolved: 'Resolved' },
  severity: { critical: 'Critical', high: 'High', warning: 'Warning', info: 'Info' },
  reason: {
    first: 'first notice',
    new_alerts: 'new alerts',
    new_resolved: 'some are over',
    all_resolved: 'all are over',
    repeat: 'still so',
    escalation: 'escalation',
    digest: 'digest',
    test: 'test',
  },
  more: (alerts) => ({ kind: 'text', alert: -1, spans: [{ text: `+${alerts} more` }] }),
  shortened: { kind: 'text', alert: -1, spans: [{ text: '… (shortened)' }] },
  templateFailed: (why) => `(This channel's template failed, so this is the built-in text: ${why})`,
  test: {
    title: 'Test of this channel',
    text: 'Nothing is wrong: somebody, or the nightly proof, tests this channel.',
  },
  days: 'd',
}
