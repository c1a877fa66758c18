import { CLOSE_BRACKET, DOT, OPEN_BRACKET } from "../format/ascii-codes";
import { jsonFailure, pathDepth, pathIndex, pathNameBytes, pathNamePtr } from "../format/json";
import { Ascii, beginText, logError, write, writeByte, writeSafe, writeUint } from "../sdk";

/** Logs the one line that tells why a configuration was refused: filter, JSON path, reason. */
export function logRefusal(filter: Ascii): void {
  beginText();
  write("weir ");
  write(filter);
  write(": configuration refused: ");
  let named = false;
  for (let level = 0; level < pathDepth(); level++) {
    const index = pathIndex(level);
    if (index >= 0) {
      writeByte(OPEN_BRACKET);
      writeUint(index);
      writeByte(CLOSE_BRACKET);
      named = true;
    } else if (pathNamePtr(level) != 0) {
      if (named) writeByte(DOT);
      writeSafe(pathNamePtr(level), pathNameBytes(level));
      named = true;
    }
  }
  if (!named) write("the document");
  write(" ");
  write(jsonFailure());
  logError();
}
