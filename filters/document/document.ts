import { Region, Table, Text } from "../sdk";

/** The members of a route that filters read; each filter registers a parser for its own. */
export const CANARY: i32 = 0;
export const RATE_LIMIT: i32 = 1;
export const SHADOW: i32 = 2;
export const COMPRESSION: i32 = 3;
export const TOKEN_LIMIT: i32 = 4;
export const SELECT: i32 = 5;
export const MEMBERS: i32 = 6;

/** What one InferenceRoute asks of the filters. */
@unmanaged
export class Route {
  /** "namespace/name". */
  name: Text;
  /** Linked list of its hosts. */
  hosts: usize;
  next: usize;
  document: Document;
  // MEMBERS pointers to the parsed policies follow; 0 where the route has none.
}

/** A host of a route: a name, "*.name" or "*". */
@unmanaged
export class Host {
  /** The next host of the route. */
  next: usize;
  text: Text;
  route: Route;
  /** The same host of another route. */
  other: Host | null;
}

/** Where the parsed policy of one member stands, or 0. */
export function policyAt(route: Route, member: i32): usize {
  return load<usize>(changetype<usize>(route) + offsetof<Route>() + ((<usize>member) << 2));
}
/** The parsed policy of one member. */
export function policyOf<T>(route: Route, member: i32): T | null {
  return changetype<T | null>(policyAt(route, member));
}
export function setPolicy(route: Route, member: i32, policy: usize): void {
  store<usize>(changetype<usize>(route) + offsetof<Route>() + ((<usize>member) << 2), policy);
}
export function createRoute(document: Document): Route {
  const route = changetype<Route>(
    document.region.alloc(offsetof<Route>() + ((<usize>MEMBERS) << 2)),
  );
  route.document = document;
  return route;
}

/** One whole configuration: message FilterConfig of proto/weir/v1/filter.proto. */
@unmanaged
export class Document {
  region: Region;
  revision: Text;
  /** The last route of the document; the others follow by next. */
  routes: usize;
  /** See ./hosts. */
  hosts: Table;
  /** The host of all requests that are for no other. */
  anyHost: Host | null;
  /** Linked list of what is counted; see ../report/counters. */
  counters: usize;
  /** 0 where the filters report to no one. */
  reportCluster: Text;
  reportAuthority: Text;
  reportIntervalMs: u32;
  /** Whether other instances on the same proxy look after the hosts that are not in here. */
  shared: bool;
}
