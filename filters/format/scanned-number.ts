import { HYPHEN } from "./ascii-codes";
import { DecodedNumber, decodeNumber } from "./json-number";
import { JsonScan, KEPT_BYTES, keptText } from "./json-scan";

const number = changetype<DecodedNumber>(memory.data(<i32>offsetof<DecodedNumber>(), 8));

/** The number told last, or a string that is one; NaN where it is none that is written out here. */
export function numberIn(scan: JsonScan): f64 {
  const text = keptText(scan);
  // No number that means anything is longer than what is kept.
  if (scan.bytes > KEPT_BYTES) return load<u8>(text) == HYPHEN ? -f64.MAX_VALUE : f64.MAX_VALUE;
  const end = text + scan.kept;
  return decodeNumber(text, end, number) && number.end == end ? number.value : NaN;
}
