/** Whether it was copied. Browsers keep the clipboard from pages of plain http; they let what is marked be copied. */
export async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard !== undefined) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    )
  }
  const place = document.createElement('textarea')
  place.value = text
  place.style.position = 'fixed'
  document.body.append(place)
  place.select()
  const isCopied = document.execCommand('copy')
  place.remove()
  return isCopied
}
