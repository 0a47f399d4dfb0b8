/** `text` to stand in HTML or XML, as content or in a quoted attribute: what would be markup is a numeric reference. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (found) => `&#${found.charCodeAt(0)};`)
}
