import { JsonScan, keptText } from "../../format/json-scan";
import { dropTo, keepTo, putBytes } from "../body-edit";

/**
 * A value that may be edited ends before `at`: takes it out of the piece where it changes. One that
 * stays as it is goes on, with the part of it that was held back from the piece before.
 *
 * @param bytes of the value as it stands in the body, quotes included
 * @param held of them, in the piece before
 * @returns whether another value has to be put there
 */
export function takeValue(scan: JsonScan, bytes: u32, at: usize, held: u32, change: bool): bool {
  if (!change && held == 0) return false;
  keepTo(at - (bytes - held));
  dropTo(at);
  if (!change) putBytes(keptText(scan), scan.kept);
  return change;
}
