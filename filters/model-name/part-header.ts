import { COLON, SPACE } from "../format/ascii-codes";
import { isLiteral, Span } from "../sdk";
import { hasStar } from "./boundary";
import { readParameter, tokenEnd, toSmall } from "./parameters";
import {
  BROKEN,
  IGNORED,
  keptPtr,
  LINE_ROOM,
  MODEL,
  ModelReader,
  NOT_TEXT,
  refuse,
} from "./reader";
import { namesModel } from "./spelling";

const name = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));
const value = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));

/** Forgets the part before. */
export function beginPart(reader: ModelReader): void {
  reader.kept = 0;
  reader.takes = IGNORED;
  reader.hasName = false;
  reader.isNamed = false;
  reader.isFile = false;
  reader.isEncoded = false;
}

/** Reads a line of a part's headers; false where it is none that all servers read alike. */
export function readHeaderLine(reader: ModelReader): bool {
  if (reader.kept > LINE_ROOM) return false;
  const from = keptPtr(reader);
  const end = from + reader.kept;
  const nameEnd = tokenEnd(from, end);
  // A line that begins with a space goes on the one before it for some servers.
  if (nameEnd == from || nameEnd == end || load<u8>(nameEnd) != COLON) return false;
  toSmall(from, nameEnd);
  let at = nameEnd + 1;
  while (at < end && load<u8>(at) == SPACE) at++;
  if (isLiteral("content-disposition", from, nameEnd - from))
    return readDisposition(reader, at, end);
  if (isLiteral("content-transfer-encoding", from, nameEnd - from)) {
    toSmall(at, end);
    const bytes = end - at;
    reader.isEncoded =
      reader.isEncoded ||
      !(
        isLiteral("8bit", at, bytes) ||
        isLiteral("7bit", at, bytes) ||
        isLiteral("binary", at, bytes)
      );
  }
  return true;
}

function readDisposition(reader: ModelReader, from: usize, end: usize): bool {
  let at = tokenEnd(from, end);
  toSmall(from, at);
  // Of two such lines some servers take the first, some the last.
  if (reader.hasName || !isLiteral("form-data", from, at - from)) return false;
  while (at < end) {
    at = readParameter(at, end, name, value);
    if (at == 0) return false;
    if (isLiteral("name", name.ptr, name.bytes)) {
      if (reader.hasName) return false;
      reader.hasName = true;
      reader.isNamed = namesModel(reader, value.ptr, value.bytes);
    } else if (name.bytes >= 8 && isLiteral("filename", name.ptr, 8)) reader.isFile = true;
    else if (hasStar(name)) return false;
  }
  return reader.hasName;
}

/** The headers of a part are over. */
export function beginData(reader: ModelReader): void {
  // Starlette refuses a part without a name, Go leaves it out.
  if (!reader.hasName) refuse(reader, BROKEN);
  else if (reader.isNamed) {
    // Go decodes what the header says is encoded, Starlette does not.
    if (reader.isFile || reader.isEncoded) refuse(reader, NOT_TEXT);
    reader.takes = MODEL;
    reader.bytes = 0;
  }
}
