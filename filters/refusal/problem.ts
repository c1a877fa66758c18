import {
  arenaAlloc,
  findHeader,
  valueBytes,
  valuePtr,
  write,
  writeByte,
  writeSafe,
  written,
  writtenBytes,
} from "../sdk";
import { requestId } from "./request-id";

/** Headers of an answer whose body is still to be written; 0 when there is no room to keep them. */
export let keptHeaders: usize = 0;
export let keptBytes: usize = 0;

/** Puts the headers that were written aside, so that the body can be written. */
export function keepHeaders(): void {
  keptBytes = writtenBytes();
  keptHeaders = arenaAlloc(keptBytes);
  if (keptHeaders != 0) memory.copy(keptHeaders, written(), keptBytes);
  else keptBytes = 0;
}

/** Ends a problem document (RFC 9457) with the id of the request, where it has one. */
export function endProblem(): void {
  const row = findHeader(requestId);
  if (row != 0) {
    write(',"request_id":"');
    writeSafe(valuePtr(row), min(valueBytes(row), 128));
    writeByte(0x22);
  }
  writeByte(0x7d);
}
