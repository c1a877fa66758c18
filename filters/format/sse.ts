import { COLON, CR, LF, SPACE } from "./ascii-codes";

// Server-sent events as the HTML standard parses them (section 9.2.6), in pieces
// split at any byte: lines end with LF, CR or CRLF, an empty line ends an event,
// and only data fields matter here.

/** What nextPiece found: bytes of data, the end of a data line, the end of an event, or nothing more. */
export const NO_PIECE: u8 = 0;
export const DATA: u8 = 1;
export const DATA_END: u8 = 2;
export const EVENT_END: u8 = 3;

const START: u8 = 0;
const NAME: u8 = 1;
const AFTER_COLON: u8 = 2;
const IN_DATA: u8 = 3;
const IGNORED: u8 = 4;

@unmanaged
export class SseScan {
  state: u8;
  /** Bytes of "data" matched so far. */
  matched: u8;
  /** The line before ended with CR: an LF now belongs to it. */
  afterCr: bool;
  /** What nextPiece found last; DATA begins here and ends where reading goes on. */
  piece: u8;
  dataFrom: usize;
  /** Bytes of a byte order mark seen at the very start, 3 when that is behind. */
  mark: u8;
}

const name: usize = memory.data<u8>([0x64, 0x61, 0x74, 0x61]);
const byteOrderMark: usize = memory.data<u8>([0xef, 0xbb, 0xbf]);

/** Whether what comes next begins a line, or belongs to one that means nothing. */
export function isBetweenLines(sse: SseScan): bool {
  return sse.state == START || sse.state == IGNORED;
}

/** Reads on to the next piece or to the end of the bytes; returns where to go on. */
export function nextPiece(sse: SseScan, from: usize, end: usize): usize {
  let at = from;
  sse.piece = NO_PIECE;
  while (at < end) {
    const c = load<u8>(at);
    if (sse.mark < 3) {
      if (c == load<u8>(byteOrderMark + sse.mark)) {
        sse.mark++;
        at++;
        continue;
      }
      sse.mark = 3;
    }
    if (sse.afterCr) {
      sse.afterCr = false;
      if (c == LF) {
        at++;
        continue;
      }
    }
    if (c == LF || c == CR) {
      at++;
      sse.afterCr = c == CR;
      const state = sse.state;
      sse.state = START;
      if (state == START) sse.piece = EVENT_END;
      else if (state == IN_DATA || state == AFTER_COLON) sse.piece = DATA_END;
      else continue;
      return at;
    }
    if (sse.state == IN_DATA || sse.state == IGNORED) {
      const start = at;
      at = lineEnd(at, end);
      if (sse.state == IGNORED) continue;
      sse.piece = DATA;
      sse.dataFrom = start;
      return at;
    }
    at = readName(sse, c, at);
  }
  return at;
}

function readName(sse: SseScan, c: u8, at: usize): usize {
  if (sse.state == AFTER_COLON) {
    sse.state = IN_DATA;
    return c == SPACE ? at + 1 : at;
  }
  if (sse.state == START) {
    sse.state = NAME;
    sse.matched = 0;
  }
  if (sse.matched < 4) {
    if (c == load<u8>(name + sse.matched)) sse.matched++;
    else sse.state = IGNORED;
  } else sse.state = c == COLON ? AFTER_COLON : IGNORED;
  return at + 1;
}

function lineEnd(from: usize, end: usize): usize {
  let at = from;
  while (at + 8 <= end) {
    const word = load<u64>(at);
    const lf = word ^ 0x0a0a0a0a0a0a0a0a;
    const cr = word ^ 0x0d0d0d0d0d0d0d0d;
    const found = ((lf - 0x0101010101010101) & ~lf) | ((cr - 0x0101010101010101) & ~cr);
    if ((found & 0x8080808080808080) != 0) break;
    at += 8;
  }
  while (at < end && load<u8>(at) != LF && load<u8>(at) != CR) at++;
  return at;
}
