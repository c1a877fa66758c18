// For editors and `npm run types`; the compiler reads none of it.

/** A literal is an Ascii to the compiler (tools/ascii-literals.js), which has this besides its length. */
interface String {
  readonly ptr: usize;
}
