/** Whether no byte is below "+", as spaces and most marks are, or beyond ASCII; eight at a time. */
export function isDense(from: usize, end: usize): bool {
  let at = from;
  for (; at + 8 <= end; at += 8) {
    const word = load<u64>(at);
    if ((((word - 0x2b2b2b2b2b2b2b2b) | word) & 0x8080808080808080) != 0) return false;
  }
  while (at < end) if (<u8>(load<u8>(at++) - 0x2b) > 0x54) return false;
  return true;
}
