import { currentDocument, policyOf, RATE_LIMIT, Route } from "../../document";
import { CLOSE_BRACKET } from "../../format/ascii-codes";
import {
  closeJson,
  hasFailed,
  jsonString,
  member,
  nextElement,
  nextMember,
  openArray,
  openJson,
  openObject,
  readNumber,
  readString,
  skipValue,
} from "../../format/json";
import { DecodedNumber, decodeNumber } from "../../format/json-number";
import { xxh64 } from "../../format/xxh64";
import { unknownTenant } from "../../identity";
import { alsoReport, metricOf } from "../../report";
import {
  ArenaMark,
  beginText,
  CALL_HEADERS,
  findHeader,
  GAUGE,
  isLiteral,
  literal,
  logWarning,
  markArena,
  nowNs,
  readCallBody,
  readHeaders,
  resetArena,
  rewindArena,
  setGauge,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
  write,
  writeByte,
  writeText,
  writeUint,
  writtenBytes,
} from "../../sdk";
import { Bucket, bucketOf, eachBucket } from "../bucket/bucket";
import { assignShare, shareOf } from "../bucket/shared-bucket";
import { Tenant } from "../bucket/tenants";
import { RateLimitPolicy } from "../config";
import { flowNamed } from "../in-flight/flow";
import { METRICS, noteSaturation, writeSaturations } from "../overload/overload";
import { collectNeeds, handOverNeeds } from "./demand";
import { writeJsonText } from "./json-text";

// Fleet-wide limits. The control service splits each bucket's rate among the
// proxies; a proxy's share stands in its shared data, beside the bucket itself,
// where every worker finds it with the look-up it makes anyway.
//
//   requestsSinceTick (worker) -> list in shared data -> requestsSinceReport (reporter)
//            -> report -> control service -> lease -> share in shared data

/** Tenants that one report can tell of, and bytes of it after which none is begun; a proxy with more goes by turns. */
const MAX_NEEDS: i32 = 1000;
const NEEDS_END: usize = 240_000;
/** Reports without a request until a bucket's share is given back. */
const MAX_IDLE_REPORTS: u32 = 60;
/** The control service counts as away after so long without an answer. */
const AWAY_NS: u64 = 5_000_000_000;

const status = literal(":status");
const share = changetype<DecodedNumber>(memory.data(<i32>offsetof<DecodedNumber>(), 8));
/** The arena before a piece of the answer is read. */
const before = changetype<ArenaMark>(memory.data(<i32>offsetof<ArenaMark>(), 8));

let reportedNs: u64 = 0;
let answeredNs: u64 = 0;
let away: bool = false;
let needs: i32 = 0;
/** Number of the bucket at hand, and of the one that the next report begins with. */
let place: u32 = 0;
let turn: u32 = 0;
/** Where this report came to its bounds; 0: it has room. */
let stopped: u32 = 0;

/** Has the module's reports tell what fleet-wide limits need, and how busy pods seem to be. */
export function reportNeeds(): void {
  alsoReport(
    handOverNeeds,
    (_comma: bool): void => {},
    (): void => {
      writeNeeds();
      writeSaturations();
    },
  );
}

/** Writes the member "needs" of message ReportRequest; only the worker that reports comes here. */
function writeNeeds(): void {
  const document = currentDocument();
  if (document === null) return;
  const now = nowNs();
  // Whoever reports anew does not know what the one before had shares for.
  if (reportedNs == 0 || now - reportedNs > AWAY_NS) {
    eachBucket(recall);
    answeredNs = now;
  }
  reportedNs = now;
  collectNeeds();
  needs = 0;
  place = 0;
  stopped = 0;
  let any = false;
  for (let at = document.routes; at != 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    const policy = policyOf<RateLimitPolicy>(route, RATE_LIMIT);
    if (policy === null || policy.proxies == 0) continue;
    any = true;
    writeRoute(route, policy, now);
  }
  turn = stopped;
  if (needs > 0) writeByte(CLOSE_BRACKET);
  if (any) showAway(now);
}

function recall(bucket: Bucket): void {
  resetArena();
  if (bucket.startNs != 0 && shareOf(bucket.fingerprint) != 0) bucket.idleReports = 1;
}

function writeRoute(route: Route, policy: RateLimitPolicy, now: u64): void {
  for (let at = policy.tenants.list; at != 0; at = changetype<Tenant>(at).next)
    writeNeed(route.name, changetype<Tenant>(at).name, changetype<Tenant>(at).bucket, now);
  writeNeed(route.name, 0, policy.tenants.unknown.bucket, now);
}

function writeNeed(route: Text, tenant: Text, bucket: Bucket, now: u64): void {
  if (bucket.requestsSinceReport > 0) bucket.idleReports = 1;
  // Requests of those whose turn it is not add up until it is.
  if (place++ < turn || stopped != 0 || bucket.idleReports == 0) return;
  if (needs >= MAX_NEEDS || writtenBytes() > NEEDS_END) {
    stopped = place - 1;
    return;
  }
  resetArena();
  if (bucket.idleReports > MAX_IDLE_REPORTS) {
    if (assignShare(bucket.fingerprint, 0, bucket.startNs, bucket.windowNs, now))
      bucket.idleReports = 0;
    return;
  }
  bucket.idleReports++;
  write(needs++ == 0 ? ',"needs":[{"route":"' : ',{"route":"');
  writeText(route);
  if (tenant != 0) {
    write('","tenant":"');
    writeJsonText(tenant);
  }
  write('","wanted":"');
  writeUint(bucket.requestsSinceReport);
  write('","intervalNs":"');
  writeUint(shareOf(bucket.fingerprint));
  write('"}');
  bucket.requestsSinceReport = 0;
}

/** Takes the shares out of message ReportResponse. */
export function readLeases(bytes: u32): void {
  if (!readHeaders(CALL_HEADERS)) return;
  const row = findHeader(status);
  if (row == 0 || !isLiteral("200", valuePtr(row), valueBytes(row))) return;
  answeredNs = nowNs();
  const answer = readCallBody(bytes);
  if (answer === null || answer.bytes == 0) return;
  openJson(answer.ptr, answer.bytes) && openObject();
  while (nextMember()) {
    const loads = member("loads");
    if (!loads && !member("leases")) skipValue();
    else {
      openArray();
      // The answer itself lies in the arena, and what is read of shared data comes to it.
      markArena(before);
      while (nextElement()) {
        if (loads) readPodLoad();
        else readLease();
        rewindArena(before);
      }
    }
  }
  closeJson();
}

/** Message Load: how saturated the pods of a route are, of which each has been asked. */
function readPodLoad(): void {
  let route: u64 = 0;
  let permille: f64 = 0;
  openObject();
  while (nextMember()) {
    if (member("route")) {
      if (readString()) route = xxh64(jsonString.ptr, jsonString.bytes, 0);
    } else if (member("saturationPermille")) {
      permille = readNumber(0, 100_000);
    } else skipValue();
  }
  if (hasFailed()) return;
  const flow = flowNamed(route);
  if (flow !== null && flow.listens) noteSaturation(flow, METRICS, permille / 1000, answeredNs);
}

function readLease(): void {
  let route: u64 = 0;
  let tenantPtr = textPtr(unknownTenant);
  let tenantBytes = textBytes(unknownTenant);
  let intervalNs: u64 = 0;
  openObject();
  while (nextMember()) {
    if (member("route")) {
      if (readString()) route = xxh64(jsonString.ptr, jsonString.bytes, 0);
    } else if (member("tenant")) {
      if (!readString()) return;
      tenantPtr = jsonString.ptr;
      tenantBytes = jsonString.bytes;
    } else if (member("intervalNs")) {
      // Proto JSON writes numbers of 64 bits as strings.
      if (!readString()) return;
      const stringEnd = jsonString.ptr + jsonString.bytes;
      if (decodeNumber(jsonString.ptr, stringEnd, share))
        intervalNs = <u64>max(min(share.value, 1e15), 0);
    } else skipValue();
  }
  const bucket = bucketOf(xxh64(tenantPtr, tenantBytes, route));
  if (bucket === null || intervalNs == 0 || bucket.startNs == 0) return;
  // Never more than the whole limit, whatever the answer says.
  const shareNs = max(intervalNs, bucket.fullNs);
  assignShare(bucket.fingerprint, shareNs, bucket.startNs, bucket.windowNs, answeredNs);
}

/** Says so when the shares are no longer renewed, and when they are again. */
function showAway(now: u64): void {
  const silent = now > answeredNs && now - answeredNs > AWAY_NS;
  if (silent == away) return;
  away = silent;
  sayAway = true;
}

let sayAway: bool = false;

/** Shows and logs what changed; call it once the report is on its way, for all are built in one place. */
export function logAway(): void {
  if (!sayAway) return;
  sayAway = false;
  beginText();
  write("weir_fleet_control_away");
  setGauge(metricOf(GAUGE), away ? 1 : 0);
  beginText();
  write("weir fleet limits: ");
  write(
    away
      ? "the control service does not answer: the last shares go on"
      : "the control service answers again",
  );
  logWarning();
}
