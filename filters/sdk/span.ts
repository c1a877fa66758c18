/** Bytes that lie elsewhere, e.g. in a buffer of the host: they are there until the callback ends. */
@unmanaged
export class Span {
  ptr: usize;
  bytes: usize;
}

/** Where a host call that returns bytes writes their pointer. */
export function ptrOf(span: Span): usize {
  return changetype<usize>(span);
}

/** Where it writes their size, which this sets to 0: a call that fails writes nothing. */
export function sizeOf(span: Span): usize {
  span.bytes = 0;
  return changetype<usize>(span) + offsetof<Span>("bytes");
}
