import { currentDocument, Route, routeOfHost } from "../document";
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

/**
 * Whether the request is for a host that another instance on this proxy may look
 * after, before this one or behind it: what that one wrote is not this one's to remove.
 */
export function isOthersHost(): bool {
  return othersHost;
}
let othersHost: bool = false;

/** Reads the request's headers, once, and finds its route; null when no route is for it. */
export function openRequest(): Route | null {
  resetArena();
  readHeaders(REQUEST_HEADERS);
  const document = currentDocument();
  othersHost = false;
  if (document === null) return null;
  const row = findHeader(authority);
  const route = row == 0 ? document.anyHost : routeOfHost(document, valuePtr(row), valueBytes(row));
  othersHost = route === null && document.shared;
  return route;
}
