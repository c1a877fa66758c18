import { currentDocument, routeOfHost } from "../document";
import {
  findHeader,
  literal,
  REQUEST_HEADERS,
  readHeaders,
  resetArena,
  valueBytes,
  valuePtr,
} from "../sdk";

const authority = literal(":authority");

/** Reads the request's headers, once, and finds its route; 0 when no route is for it. */
export function openRequest(): usize {
  resetArena();
  readHeaders(REQUEST_HEADERS);
  const document = currentDocument();
  if (document === null) return 0;
  const row = findHeader(authority);
  return row < 0 ? document.anyHost : routeOfHost(document, valuePtr(row), valueBytes(row));
}
