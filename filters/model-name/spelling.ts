import { isLiteral } from "../sdk";
import { FOUND, MISSPELLED, ModelReader, refuse, TWICE } from "./reader";

/**
 * Whether a name of the body is the model's. Refuses a second one, and one that is the model's
 * for servers that do not tell capitals from small letters: encoding/json of Go folds "MODEL", and
 * takes the last of all that it folds to one. None of the five letters has a form beyond ASCII
 * that Go would fold to it.
 */
export function namesModel(reader: ModelReader, name: usize, bytes: usize): bool {
  if (bytes != 5) return false;
  if (isLiteral("model", name, bytes)) {
    if (reader.state == FOUND) refuse(reader, TWICE);
    return true;
  }
  const mode = load<u32>(name) | 0x20202020;
  const l = load<u8>(name + 4) | 0x20;
  if (mode == 0x65646f6d && l == 0x6c) refuse(reader, MISSPELLED);
  return false;
}
