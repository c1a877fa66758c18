// For editors and `npm run types`; the compiler reads none of it.

/** Whether the module is one that has everything: tools/compile-filter.js sets it for each. */
declare const FULL: bool;
/** Whether the module tells ranges of addresses, likewise. */
declare const RANGES: bool;

/** A literal is an Ascii to the compiler (tools/ascii-literals.js), which has this besides its length. */
interface String {
  readonly ptr: usize;
}
