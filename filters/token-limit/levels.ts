// Kinds of the open levels of a document, four bits each, outermost last; those
// deeper than sixteen are of no kind.
const MAX_LEVELS: i32 = 16;

/** The kind of a level, from 1; 0 for none. */
export function levelAt(where: u64, depth: i32): u32 {
  return depth < 1 || depth > MAX_LEVELS ? 0 : <u32>(where >> ((<u64>(depth - 1)) << 2)) & 15;
}

/** With a level that opened, which is now number `depth`. */
export function enter(where: u64, depth: i32, kind: u32): u64 {
  if (depth > MAX_LEVELS) return where;
  const shift = (<u64>(depth - 1)) << 2;
  return (where & ~((<u64>15) << shift)) | ((<u64>kind) << shift);
}
