import { findHeader, literal, nextHeader, valueBytes, valuePtr } from "../sdk";

const contentEncoding = literal("content-encoding");

/** Whether the headers read last name an encoding other than identity, on any of their lines. */
export function isEncoded(): bool {
  for (let row = findHeader(contentEncoding); row != 0; row = nextHeader(contentEncoding, row)) {
    const ptr = valuePtr(row);
    const bytes = valueBytes(row);
    // "identity", in any case.
    if (bytes != 0 && !(bytes == 8 && (load<u64>(ptr) | 0x2020202020202020) == 0x797469746e656469))
      return true;
  }
  return false;
}
