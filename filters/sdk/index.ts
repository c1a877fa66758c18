export { Ascii } from "./ascii";
export {
  REQUEST_BODY,
  RESPONSE_BODY,
  readBody,
  readBodyFrom,
  readCallBody,
  readConfiguration,
  replaceBody,
} from "./buffer";
export { EXTENDED, RANGES } from "./build";
export { nowNs, setTick } from "./clock";
export {
  findHeader,
  HeaderRow,
  hasHeader,
  nextHeader,
  REQUEST_HEADERS,
  REQUEST_TRAILERS,
  RESPONSE_HEADERS,
  RESPONSE_TRAILERS,
  readHeaders,
  removeHeader,
  setHeader,
  valueBytes,
  valuePtr,
} from "./headers";
export { allocate, allocateZeroed, canReserve, release, reserve } from "./heap";
export { CALL_HEADERS, httpCall } from "./http-call";
export { logError, logWarning } from "./log";
export {
  ArenaMark,
  arenaAlloc,
  markArena,
  proxy_abi_version_0_2_1,
  proxy_on_memory_allocate,
  resetArena,
  rewindArena,
  sameBytes,
} from "./memory";
export {
  addToMetric,
  COUNTER,
  defineMetric,
  GAUGE,
  metricValue,
  NO_METRIC,
  setGauge,
} from "./metrics";
export { readProperty } from "./property";
export { Region } from "./region";
export { reply } from "./reply";
export { readShared, writeShared } from "./shared-data";
export { found, Span } from "./span";
export { CAS_MISMATCH, CONTINUE, NOT_FOUND, OK, STOP_ITERATION } from "./status";
export { addTo, clearTable, dropFrom, eachIn, openTable, Table, valueIn } from "./table";
export { beginsWith, copyText, isLiteral, isText, literal, Text, textBytes, textPtr } from "./text";
export {
  beginPair,
  beginPairOf,
  beginPairs,
  beginText,
  endPair,
  overflowed,
  write,
  writeByte,
  writeBytes,
  writeHex,
  writeSafe,
  writeText,
  writeUint,
  written,
  writtenBytes,
} from "./writer";
