import { metricOf } from "../report";
import {
  addToMetric,
  beginText,
  COUNTER,
  EXTENDED,
  hasHeader,
  literal,
  REQUEST_HEADERS,
  readHeaders,
  removeHeader,
  Text,
  write,
} from "../sdk";
import { isOthersHost } from "./request";

// The headers that only Weir may set. A client that sends one claims what is
// not its to claim, so it is removed before anyone reads it.
export const variantHeader = literal("x-weir-variant");
export const tenantHeader = literal("x-weir-tenant");
export const tierHeader = literal("x-weir-tier");
export const modeHeader = literal("x-shadow-mode");
export const tagHeader = literal("x-traffic-tag");

/** Removed claims that the host was not yet told of. */
let spoofed: i64 = 0;

/** Tells the host of the claims that were removed since the last time. */
export function flushClaims(): void {
  if (spoofed == 0) return;
  beginText();
  write("weir_spoofed_headers_total");
  if (addToMetric(metricOf(COUNTER), spoofed)) spoofed = 0;
}

/** Removes a control header that the client sent, from requests that are this instance's. */
export function removeClaimed(name: Text): void {
  if (isOthersHost() || !hasHeader(name)) return;
  removeHeader(REQUEST_HEADERS, name);
  spoofed++;
}

// What inference schedulers take a request's priority and fairness from
// (llm-d-router: pkg/epp/metadata/consts.go), and the same under their older names.
export const objectiveHeader: Text = EXTENDED ? literal("x-llm-d-inference-objective") : 0;
export const fairnessHeader: Text = EXTENDED ? literal("x-llm-d-inference-fairness-id") : 0;
const oldObjectiveHeader: Text = EXTENDED ? literal("x-gateway-inference-objective") : 0;
const oldFairnessHeader: Text = EXTENDED ? literal("x-gateway-inference-fairness-id") : 0;

/** Removes the older names of the schedulers' headers and counts claims under the newer ones. */
export function removeSchedulerClaims(): void {
  noteClaimed(objectiveHeader);
  noteClaimed(fairnessHeader);
  removeClaimed(oldObjectiveHeader);
  removeClaimed(oldFairnessHeader);
}

/** Counts a claim that is overwritten rather than removed. */
export function noteClaimed(name: Text): void {
  if (hasHeader(name)) spoofed++;
}

/** Removes control headers from trailers, which no filter decides on but a pod may read. */
export function cleanTrailers(map: i32): void {
  if (!readHeaders(map)) return;
  cleanTrailer(map, variantHeader);
  cleanTrailer(map, tenantHeader);
  cleanTrailer(map, tierHeader);
  cleanTrailer(map, modeHeader);
  cleanTrailer(map, tagHeader);
}

function cleanTrailer(map: i32, name: Text): void {
  if (hasHeader(name)) removeHeader(map, name);
}
