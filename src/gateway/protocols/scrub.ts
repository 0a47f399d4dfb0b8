const longestMessage = 1000

const secrets: [RegExp, string][] = [
  // Userinfo, hosts and query strings of any address, bare IP addresses with or without a port.
  [/\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s"'<>)\]}]+/gi, '[address]'],
  [/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b/g, '[address]'],
  [/\b(?:[a-z0-9-]+\.)+(?:local|internal|lan|svc)(?::\d{1,5})?\b/gi, '[address]'],
  [/\bbearer\s+[^\s"',]+/gi, 'Bearer [key]'],
  // Keys, as vendors shape them and as they half mask them in their own messages.
  [/\b(?:sk|pk|rk|gsk|xai|AIza|ya29|key|api[-_]?key)[-_.][\w*.-]{6,}/gi, '[key]'],
  [/\bAIza[\w-]{10,}/g, '[key]'],
  [/\b[\w-]*\*{3,}[\w*-]*/g, '[key]'],
  [/\b(?:org|proj|user|acct|account|project)[-_][A-Za-z0-9]{8,}\b/g, '[account]'],
  [/\bprojects\/[\w-]+/g, 'projects/[account]'],
  [/[\w.+-]+@[\w-]+\.[\w.-]+/g, '[account]'],
  [/\b(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{32,}\b/g, '[key]'],
]

/** A provider's message made safe for a caller: no key, no address, no account, one line, at most 1000 characters. */
export function scrubMessage(message: string): string {
  let text = message.slice(0, longestMessage * 4)
  for (const [pattern, mask] of secrets) text = text.replace(pattern, mask)
  text = text.replace(/\s+/g, ' ').trim()
  return text.length > longestMessage ? `${text.slice(0, longestMessage - 1)}…` : text
}
