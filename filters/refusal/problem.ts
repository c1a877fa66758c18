import { CLOSE_BRACE, QUOTE } from "../format/ascii-codes";
import {
  arenaAlloc,
  findHeader,
  Span,
  valueBytes,
  valuePtr,
  write,
  writeByte,
  writeSafe,
  written,
  writtenBytes,
} from "../sdk";
import { requestId } from "./request-id";

const kept = changetype<Span>(memory.data(<i32>offsetof<Span>(), 8));

/** Puts the headers that were written aside, so that the body can be written; none where there is no room. */
export function keepHeaders(): Span {
  const bytes = writtenBytes();
  kept.ptr = arenaAlloc(bytes);
  kept.bytes = kept.ptr == 0 ? 0 : bytes;
  memory.copy(kept.ptr, written(), kept.bytes);
  return kept;
}

/** Ends a problem document (RFC 9457) with the id of the request, where it has one. */
export function endProblem(): void {
  const row = findHeader(requestId);
  if (row != 0) {
    write(',"request_id":"');
    writeSafe(valuePtr(row), min(valueBytes(row), 128));
    writeByte(QUOTE);
  }
  writeByte(CLOSE_BRACE);
}
