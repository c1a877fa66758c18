import { findScanned } from "../../apis";
import { JsonScan, keptText } from "../../format/json-scan";
import { Stream } from "../stream";

/** A name that some servers take for one of the table: they do not tell capitals from small letters. */
export function isAlike(stream: Stream, scan: JsonScan, level: u32): bool {
  const text = keptText(scan);
  let folds = false;
  if (!mayBeAlike(text) && !mayBeAlike(text + 16)) return false;
  for (let i: usize = 0; i < scan.kept; i++) {
    const byte = load<u8>(text + i);
    // Beyond ASCII there are letters that are folded to k and s.
    if (byte >= 0x80) return true;
    if (byte < 0x41 || byte > 0x5a) continue;
    store<u8>(text + i, byte | 0x20);
    folds = true;
  }
  return folds && findScanned(stream.api.request, level, scan) != 0;
}

/** Whether any of sixteen bytes is a capital letter or beyond ASCII, or one of few others. */
function mayBeAlike(text: usize): bool {
  const one = load<u64>(text);
  const other = load<u64>(text, 8);
  // Capitals have bit 6 and not bit 5; the shift brings bit 5 to its place.
  const capitals = (one & ~(one << 1)) | (other & ~(other << 1));
  return (capitals & 0x4040404040404040) != 0 || ((one | other) & 0x8080808080808080) != 0;
}
