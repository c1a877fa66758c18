import { currentDocument, Host, hostOf, Route } from "../document";
import {
  EXTENDED,
  findHeader,
  isText,
  literal,
  REQUEST_HEADERS,
  readHeaders,
  resetArena,
  Text,
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
  const host = openHost();
  if (host === null) return null;
  return EXTENDED && host.other !== null ? selectedRoute(host) : host.route;
}

/** The header in which route-select.wasm tells the routes of a host apart. */
export const routeHeader: Text = EXTENDED ? literal("x-weir-route") : 0;

function selectedRoute(first: Host): Route | null {
  const row = findHeader(routeHeader);
  if (row == 0) return null;
  for (let host: Host | null = first; host !== null; host = host.other)
    if (isText(host.route.name, valuePtr(row), valueBytes(row))) return host.route;
  return null;
}

/** Reads the request's headers, once, and finds its host; null when no route is for it. */
export function openHost(): Host | null {
  resetArena();
  readHeaders(REQUEST_HEADERS);
  const document = currentDocument();
  othersHost = false;
  if (document === null) return null;
  const row = findHeader(authority);
  const host = row == 0 ? document.anyHost : hostOf(document, valuePtr(row), valueBytes(row));
  othersHost = host === null && document.shared;
  return host;
}
