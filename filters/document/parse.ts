import {
  closeJson,
  failJson,
  hasFailed,
  member,
  nextElement,
  nextMember,
  openArray,
  openJson,
  openObject,
  readBool,
  readInteger,
  skipValue,
  unknownField,
} from "../format/json";
import { readText } from "../format/values";
import { EXTENDED, Region, Text } from "../sdk";
import { createRoute, Document, MEMBERS, policyAt, Route, setPolicy } from "./document";
import { addHost, indexHosts } from "./hosts";

const MAX_ROUTES: i32 = 2000;
const MAX_HOSTS: i32 = 64;

/** Reads the member the JSON parser stands before; 0 after a failure. */
export type PolicyParser = (region: Region) => usize;
/** Called once the whole route is known, to take what lives longer than the region: metrics and buckets. */
export type PolicyBinder = (policy: usize, route: Route) => void;
/** Called before the region is freed, to give back what was taken. */
export type PolicyReleaser = (policy: usize) => void;

// One row per member: parser | binder | releaser, 0 where a filter reads none.
const ROW: usize = 12;
const table: usize = memory.data(MEMBERS * <i32>ROW, 8);

/** Names the parser of a filter's own member; the members of other filters are only checked for syntax. */
export function registerMember(
  member: i32,
  parser: PolicyParser,
  binder: PolicyBinder,
  releaser: PolicyReleaser | null = null,
): void {
  const row = table + <usize>member * ROW;
  store<usize>(row, changetype<usize>(parser));
  store<usize>(row, changetype<usize>(binder), 4);
  store<usize>(row, changetype<usize>(releaser), 8);
}

/** Parses a configuration that lies in memory of its own region; null after a failure, told by jsonFailure(). */
export function parseDocument(region: Region, ptr: usize, bytes: usize): Document | null {
  const document = changetype<Document>(region.alloc(offsetof<Document>()));
  document.region = region;
  openJson(ptr, bytes) && openObject();
  while (nextMember()) {
    if (member("revision")) document.revision = readText(region, 128);
    else if (member("routes")) parseRoutes(document);
    else if (member("report")) parseReport(document);
    else if (member("shared")) document.shared = readBool();
    else unknownField();
  }
  if (!hasFailed() && document.revision == 0) failJson("has no revision");
  if (!hasFailed() && !indexHosts(document)) failJson("has two routes for one host");
  return closeJson() ? document : null;
}

function parseRoutes(document: Document): void {
  let count = 0;
  openArray();
  while (nextElement()) {
    if (++count > MAX_ROUTES) failJson("has more than 2000 routes");
    else parseRoute(document);
  }
}

function parseRoute(document: Document): void {
  const region = document.region;
  const route = createRoute(document);
  openObject();
  while (nextMember()) {
    if (member("name")) route.name = readText(region, 256);
    else if (member("hosts")) parseHosts(route, region);
    else if (member("canary")) parseMember(route, 0, region);
    else if (member("rateLimit")) parseMember(route, 1, region);
    else if (member("shadow")) parseMember(route, 2, region);
    else if (member("compression")) parseMember(route, 3, region);
    else if (member("tokenLimit")) parseMember(route, 4, region);
    else if (EXTENDED && member("select")) parseMember(route, 5, region);
    else unknownField();
  }
  if (hasFailed()) return;
  if (route.name == 0) failJson("has no name");
  else if (route.hosts == 0) failJson("has no hosts");
  route.next = document.routes;
  document.routes = changetype<usize>(route);
}

function parseMember(route: Route, member: i32, region: Region): void {
  const parser = load<usize>(table + <usize>member * ROW);
  if (parser == 0) skipValue();
  else setPolicy(route, member, changetype<PolicyParser>(parser)(region));
}

function parseHosts(route: Route, region: Region): void {
  let count = 0;
  openArray();
  while (nextElement()) {
    if (++count > MAX_HOSTS) {
      failJson("has more than 64 hosts");
      return;
    }
    const host: Text = readText(region, 255);
    if (host == 0) return;
    addHost(route, host);
  }
}

function parseReport(document: Document): void {
  const region = document.region;
  document.reportIntervalMs = 1000;
  openObject();
  while (nextMember()) {
    if (member("cluster")) document.reportCluster = readText(region, 512);
    else if (member("authority")) document.reportAuthority = readText(region, 255);
    else if (member("intervalMs")) {
      document.reportIntervalMs = readInteger(100, 60000);
    } else unknownField();
  }
  if (hasFailed()) return;
  if (document.reportCluster == 0) failJson("has no cluster");
  else if (document.reportAuthority == 0) failJson("has no authority");
}

/** Lets the filters take what they keep outside the region: metrics and buckets. */
export function bindDocument(document: Document): void {
  for (let at = document.routes; at != 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    for (let member = 0; member < MEMBERS; member++) {
      const binder = load<usize>(table + <usize>member * ROW, 4);
      const policy = policyAt(route, member);
      if (binder != 0 && policy != 0) changetype<PolicyBinder>(binder)(policy, route);
    }
  }
}

/** Gives back what bindDocument took. */
export function releaseDocument(document: Document): void {
  for (let at = document.routes; at != 0; at = changetype<Route>(at).next)
    for (let member = 0; member < MEMBERS; member++) {
      const releaser = load<usize>(table + <usize>member * ROW, 8);
      const policy = policyAt(changetype<Route>(at), member);
      if (releaser != 0 && policy != 0) changetype<PolicyReleaser>(releaser)(policy);
    }
}
