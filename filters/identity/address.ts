import { COLON, DOT, NINE } from "../format/ascii-codes";

// Addresses as the 128 bits of IPv6; those of IPv4 are ::ffff:0:0/96, as RFC 4291,
// section 2.5.5.2, maps them.

/** An address that was read. */
@unmanaged
export class Address {
  /** Its bits in the order of the network. */
  high: u64;
  low: u64;
  /** Where its text ended. */
  end: usize;
  /** How many bits it has before its own because it is one of IPv4: 96 or 0. */
  mappedBits: u32;
}

/** The octets as they are written; two at once may go beyond the sixteenth. */
const octets: usize = memory.data(24, 8);

/** Reads an address from the beginning of a text; false where none stands there. */
export function readAddress(from: usize, end: usize, into: Address): bool {
  let at = from;
  let to = octets;
  let gap: usize = 0;
  let isDotted = false;
  while (to < octets + 16) {
    const start = at;
    let hex: u32 = 0;
    let decimal: u32 = 0;
    let byte: u32 = 0;
    for (; at < end; at++) {
      byte = load<u8>(at);
      const digit = byte <= NINE ? byte - 0x30 : (byte | 0x20) - 0x57;
      if (digit > 15) break;
      hex = (hex << 4) | digit;
      decimal = decimal * 10 + digit;
      byte = 0;
    }
    into.end = at;
    if (byte == DOT) isDotted = true;
    if (at > start) {
      store<u16>(to, <u16>(isDotted ? decimal : bswap(<u16>hex)));
      to += isDotted ? 1 : 2;
    }
    if (byte != COLON && byte != DOT) break;
    at++;
    if (byte == COLON && load<u8>(at) == COLON) {
      gap = to;
      at++;
    }
  }
  into.mappedBits = 0;
  into.high = 0;
  if (isDotted && to == octets + 4 && gap == 0) {
    into.mappedBits = 96;
    into.low = 0xffff00000000 | <u64>bswap(load<u32>(octets));
    return true;
  }
  if (to == octets + 16 && gap == 0) gap = to;
  if (to > octets + 16 || gap == 0) return false;
  // What stands behind "::" is the end of the address.
  const behind = to - gap;
  memory.copy(octets + 16 - behind, gap, behind);
  memory.fill(gap, 0, octets + 16 - to);
  into.high = bswap(load<u64>(octets));
  into.low = bswap(load<u64>(octets, 8));
  return true;
}
