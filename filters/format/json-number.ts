import { DOT, HYPHEN, PLUS } from "./ascii-codes";

// The numbers of RFC 8259 section 6.

/** A number that was read. */
@unmanaged
export class DecodedNumber {
  value: f64;
  /** Where its text ended. */
  end: usize;
}

function isDigit(at: usize, end: usize): bool {
  return at < end && load<u8>(at) >= 48 && load<u8>(at) <= 57;
}

function powerOfTen(exponent: i32): f64 {
  let result: f64 = 1;
  let base: f64 = 10;
  for (let rest = min(exponent, 400); rest > 0; rest >>= 1) {
    if (rest & 1) result *= base;
    base *= base;
  }
  return result;
}

/** Reads a number; false when there is none. Exact for integers up to 2^53 and short decimals. */
export function decodeNumber(from: usize, end: usize, into: DecodedNumber): bool {
  let at = from;
  const negative = at < end && load<u8>(at) == HYPHEN;
  if (negative) at++;
  if (!isDigit(at, end)) return false;
  if (load<u8>(at) == 48 && isDigit(at + 1, end)) return false;
  let digits: u64 = 0;
  let scale = 0;
  for (; isDigit(at, end); at++) {
    if (digits < 100000000000000000) digits = digits * 10 + (load<u8>(at) - 48);
    else scale++;
  }
  if (at < end && load<u8>(at) == DOT) {
    at++;
    if (!isDigit(at, end)) return false;
    for (; isDigit(at, end); at++) {
      if (digits >= 100000000000000000) continue;
      digits = digits * 10 + (load<u8>(at) - 48);
      scale--;
    }
  }
  if (at < end && (load<u8>(at) | 0x20) == 0x65) {
    at++;
    let sign = 1;
    if (at < end && (load<u8>(at) == PLUS || load<u8>(at) == HYPHEN)) {
      if (load<u8>(at) == HYPHEN) sign = -1;
      at++;
    }
    if (!isDigit(at, end)) return false;
    let exponent = 0;
    for (; isDigit(at, end); at++) exponent = min(exponent * 10 + (load<u8>(at) - 48), 9999);
    scale += sign * exponent;
  }
  const value = scale < 0 ? <f64>digits / powerOfTen(-scale) : <f64>digits * powerOfTen(scale);
  into.value = negative ? -value : value;
  into.end = at;
  return true;
}
