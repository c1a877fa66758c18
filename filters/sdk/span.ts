/** Bytes that lie elsewhere, e.g. in a buffer of the host. */
@unmanaged
export class Span {
  ptr: usize;
  bytes: usize;
}

/**
 * What the last host call that returns bytes returned: a property, a body, a value of
 * shared data. It is there until the next such call or the end of the callback.
 */
export const found = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));
/** Where such a call writes the pointer. */
export const foundPtr = changetype<usize>(found);
/** Where it writes the size. */
export const foundBytes = changetype<usize>(found) + offsetof<Span>("bytes");

/** Forgets what was found: a call that fails writes nothing. */
export function resetFound(): void {
  found.ptr = 0;
  found.bytes = 0;
}
