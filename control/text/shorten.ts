/** What a caller gave, as a message shows it: the beginning of a long one. */
export function shorten(given: string, maxCharacters: number): string {
  return given.length > maxCharacters ? `${given.slice(0, maxCharacters)}...` : given;
}
