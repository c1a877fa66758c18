import { isCallerIn } from "../identity";
import { allHold } from "../match";
import { removeClaimed } from "../plugin";
import { eased } from "../pressure";
import {
  EXTENDED,
  findHeader,
  hasHeader,
  isText,
  literal,
  nextHeader,
  nowNs,
  REQUEST_HEADERS,
  setHeader,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { markBaggage } from "./baggage";
import { ShadowPolicy } from "./config";
import { isSampled } from "./sample";

const contentLength = literal("content-length");
const requestId = literal("x-request-id");
const yes = literal("true");
const clock: usize = memory.data(8, 8);

/** Tags the request, or makes sure that it is not tagged; whether it is. */
export function applyShadow(policy: ShadowPolicy, bodiless: bool): bool {
  const claimed = hasHeader(policy.modeHeader) || hasHeader(policy.tagHeader);
  if (claimed && isCallerIn(policy.from, policy.identity)) {
    const tagged = isTagged(policy);
    if (EXTENDED && policy.baggage) markBaggage(tagged ? policy.tag : 0);
    return tagged;
  }
  if (sampled(policy) && allHold(policy.match) && (bodiless || fitsBody(policy.maxBodyBytes))) {
    policy.tagged.pending++;
    setHeader(REQUEST_HEADERS, policy.modeHeader, textPtr(yes), textBytes(yes));
    setHeader(REQUEST_HEADERS, policy.tagHeader, textPtr(policy.tag), textBytes(policy.tag));
    if (EXTENDED && policy.baggage) markBaggage(policy.tag);
    return true;
  }
  removeClaimed(policy.modeHeader);
  removeClaimed(policy.tagHeader);
  if (EXTENDED && policy.baggage) markBaggage(0);
  return false;
}

/** Whether a trusted caller's own headers send the request to the shadow. */
function isTagged(policy: ShadowPolicy): bool {
  const row = findHeader(policy.modeHeader);
  return row != 0 && isText(yes, valuePtr(row), valueBytes(row));
}

/** A body of unknown length fits no cap: by the time it is known, it has been copied. */
function fitsBody(max: u32): bool {
  if (max == u32.MAX_VALUE) return true;
  const row = findHeader(contentLength);
  if (row == 0 || nextHeader(contentLength, row) != 0) return false;
  const end = valuePtr(row) + valueBytes(row);
  let length: u64 = 0;
  for (let at = valuePtr(row); at < end; at++) {
    const digit = <u32>load<u8>(at) - 48;
    length = length * 10 + digit;
    if (digit > 9 || length > max) return false;
  }
  return true;
}

function sampled(policy: ShadowPolicy): bool {
  const share = EXTENDED && policy.yields ? eased(policy.share) : policy.share;
  if (share == 0) return false;
  const row = findHeader(requestId);
  if (row != 0) return isSampled(valuePtr(row), valueBytes(row), policy.seed, share);
  store<u64>(clock, nowNs());
  return isSampled(clock, 8, policy.seed, share);
}
