/** What kinds of lines of a timeline are called in Chinese; in English they are called as they are. */
export const lineWords: Readonly<Record<string, string>> = {
  ...{ opened: '创建', suspects: '可疑变更', alert: '告警', alert_explained: '关联告警', alert_ended: '告警恢复' },
  ...{ escalated: '升级通知', told: '已通知', not_told: '通知失败', nobody_told: '无人可通知' },
  ...{ acknowledged: '确认', unacknowledged: '确认失效', assigned: '指派', note: '备注', diagnosed: '诊断' },
  ...{ severity: '级别变更', at_risk: '即将超时', breached: '已超时', paused: '暂停计时', resumed: '恢复计时' },
  ...{ mitigated: '止损', relapsed: '复发', resolved: '解决', reopened: '重新打开', closed: '关闭' },
  ...{ recovery: '恢复流程', postmortem: '复盘', action: '执行操作', action_done: '操作完成' },
  ...{ action_undone: '操作已撤销', action_failed: '操作失败' },
  ...{ adopted: '数据库恢复后写入', held: '数据库不可用期间' },
}
