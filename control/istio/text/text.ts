/**
 * Text on its way to being one string: a page of bytes that becomes a string
 * when it is full. Thousands of short pieces would cost a string each, and one
 * page for all of them the memory of all of them once more.
 */
export interface Text {
  /** Full pages. */
  done: string;
  page: Buffer;
  /** Bytes of the page that are in use. */
  length: number;
}

export function emptyText(): Text {
  return { done: "", page: Buffer.allocUnsafe(64 * 1024), length: 0 };
}

export function write(text: Text, piece: string): void {
  const { length } = piece;
  // Three bytes at most for each of JavaScript's characters.
  reserve(text, 3 * length);
  const { page } = text;
  const start = text.length;
  for (let index = 0; index < length; index++) {
    const code = piece.charCodeAt(index);
    if (code >= 0x80) {
      text.length = start + page.write(piece, start);
      return;
    }
    page[start + index] = code;
  }
  text.length = start + length;
}

/** Writes the piece where each of its characters is allowed, by its code below 128; tells whether. */
export function writeAllowed(text: Text, piece: string, allowed: Uint8Array): boolean {
  const { length } = piece;
  reserve(text, length);
  const { page } = text;
  const start = text.length;
  for (let index = 0; index < length; index++) {
    const code = piece.charCodeAt(index);
    if (code >= 0x80 || allowed[code] === 0) return false;
    page[start + index] = code;
  }
  text.length = start + length;
  return true;
}

/** Spaces, two for each level. */
export function indent(text: Text, levels: number): void {
  reserve(text, 2 * levels);
  const end = text.length + 2 * levels;
  for (let at = text.length; at < end; at++) text.page[at] = space;
  text.length = end;
}

export function textOf({ done, length, page }: Text): string {
  return done + page.toString("utf8", 0, length);
}

const space = 0x20;

function reserve(text: Text, more: number): void {
  if (text.length + more <= text.page.length) return;
  text.done = textOf(text);
  text.length = 0;
  if (more > text.page.length) text.page = Buffer.allocUnsafe(more);
}
