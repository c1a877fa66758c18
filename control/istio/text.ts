/**
 * Text on its way to being one string: bytes that grow. Thousands of short
 * pieces cost a string each when they are joined, and nothing here.
 */
export interface Text {
  bytes: Buffer;
  length: number;
}

export function emptyText(): Text {
  return { bytes: Buffer.allocUnsafe(64 * 1024), length: 0 };
}

export function write(text: Text, piece: string): void {
  const { length } = piece;
  // Three bytes at most for each of JavaScript's characters.
  reserve(text, 3 * length);
  const { bytes } = text;
  const start = text.length;
  for (let index = 0; index < length; index++) {
    const code = piece.charCodeAt(index);
    if (code >= 0x80) {
      text.length = start + bytes.write(piece, start);
      return;
    }
    bytes[start + index] = code;
  }
  text.length = start + length;
}

/** Writes the piece where each of its characters is allowed, by its code below 128; tells whether. */
export function writeAllowed(text: Text, piece: string, allowed: Uint8Array): boolean {
  const { length } = piece;
  reserve(text, length);
  const { bytes } = text;
  const start = text.length;
  for (let index = 0; index < length; index++) {
    const code = piece.charCodeAt(index);
    if (code >= 0x80 || allowed[code] === 0) return false;
    bytes[start + index] = code;
  }
  text.length = start + length;
  return true;
}

/** Spaces, two for each level. */
export function indent(text: Text, levels: number): void {
  reserve(text, 2 * levels);
  const end = text.length + 2 * levels;
  for (let at = text.length; at < end; at++) text.bytes[at] = space;
  text.length = end;
}

export function textOf({ bytes, length }: Text): string {
  return bytes.toString("utf8", 0, length);
}

const space = 0x20;

function reserve(text: Text, more: number): void {
  const wanted = text.length + more;
  if (wanted <= text.bytes.length) return;
  const bytes = Buffer.allocUnsafe(Math.max(wanted, 2 * text.bytes.length));
  text.bytes.copy(bytes, 0, 0, text.length);
  text.bytes = bytes;
}
