/**
 * An ASCII literal: u16 length | bytes. The build turns every string literal of
 * the filters into one (tools/ascii-literals.js), because AssemblyScript's own
 * strings are UTF-16 objects of three times the size.
 */
@unmanaged
export class Ascii {
  get length(): i32 {
    return load<u16>(changetype<usize>(this));
  }
  get ptr(): usize {
    return changetype<usize>(this) + 2;
  }
}
