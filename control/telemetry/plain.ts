/** What moves a cursor, colours, ends a line, or turns the direction of what follows. */
const unplain =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point.
  /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * A text as one line that a terminal only shows: what would do anything else there is
 * written as in JSON, such as `\n` and `\u001b`. Words of proxies, callers and pods are
 * theirs, and a reader must see that they are.
 */
export function plain(text: string): string {
  return text.replace(unplain, (each) =>
    each === "\n" ? "\\n" : `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
