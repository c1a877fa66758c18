import { isCallerIn } from "../identity";
import { removeClaimed } from "../plugin";
import {
  findHeader,
  isText,
  literal,
  nowNs,
  REQUEST_HEADERS,
  sameBytes,
  setHeader,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { ABSENT, EXACT, HeaderMatch, PREFIX, PRESENT, ShadowPolicy } from "./config";
import { isSampled } from "./sample";

const requestId = literal("x-request-id");
const yes = literal("true");
const clock: usize = memory.data(8, 8);

/** Tags the request, or makes sure that it is not tagged. */
export function applyShadow(policy: ShadowPolicy): void {
  const claimed = findHeader(policy.modeHeader) >= 0 || findHeader(policy.tagHeader) >= 0;
  if (claimed && isCallerIn(policy.from, policy.identity)) return;
  if (matches(policy) && sampled(policy)) {
    policy.tagged.pending++;
    setHeader(REQUEST_HEADERS, policy.modeHeader, textPtr(yes), textBytes(yes));
    setHeader(REQUEST_HEADERS, policy.tagHeader, textPtr(policy.tag), textBytes(policy.tag));
    return;
  }
  removeClaimed(policy.modeHeader);
  removeClaimed(policy.tagHeader);
}

function sampled(policy: ShadowPolicy): bool {
  if (policy.share == 0) return false;
  const row = findHeader(requestId);
  if (row >= 0) return isSampled(valuePtr(row), valueBytes(row), policy.seed, policy.share);
  store<u64>(clock, nowNs());
  return isSampled(clock, 8, policy.seed, policy.share);
}

function matches(policy: ShadowPolicy): bool {
  for (let at = policy.match; at != 0; at = changetype<HeaderMatch>(at).next)
    if (!holds(changetype<HeaderMatch>(at))) return false;
  return true;
}

/** All values of a repeated header must match: what stands behind may read any of them. */
function holds(match: HeaderMatch): bool {
  let row = findHeader(match.header);
  if (match.kind == PRESENT) return row >= 0;
  if (match.kind == ABSENT) return row < 0;
  if (row < 0) return false;
  for (; row >= 0; row = findHeader(match.header, row + 1)) {
    if (match.kind == EXACT && !isText(match.value, valuePtr(row), valueBytes(row))) return false;
    if (match.kind == PREFIX && !startsWith(match.value, valuePtr(row), valueBytes(row)))
      return false;
  }
  return true;
}

function startsWith(prefix: Text, ptr: usize, bytes: usize): bool {
  return textBytes(prefix) <= bytes && sameBytes(textPtr(prefix), ptr, textBytes(prefix));
}
