import { isCallerIn } from "../identity";
import { allHold } from "../match";
import { removeClaimed } from "../plugin";
import {
  findHeader,
  literal,
  nowNs,
  REQUEST_HEADERS,
  setHeader,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { ShadowPolicy } from "./config";
import { isSampled } from "./sample";

const contentLength = literal("content-length");
const requestId = literal("x-request-id");
const yes = literal("true");
const clock: usize = memory.data(8, 8);

/** Tags the request, or makes sure that it is not tagged. */
export function applyShadow(policy: ShadowPolicy, bodiless: bool): void {
  const claimed = findHeader(policy.modeHeader) >= 0 || findHeader(policy.tagHeader) >= 0;
  if (claimed && isCallerIn(policy.from, policy.identity)) return;
  if (sampled(policy) && allHold(policy.match) && (bodiless || fitsBody(policy.mostBodyBytes))) {
    policy.tagged.pending++;
    setHeader(REQUEST_HEADERS, policy.modeHeader, textPtr(yes), textBytes(yes));
    setHeader(REQUEST_HEADERS, policy.tagHeader, textPtr(policy.tag), textBytes(policy.tag));
    return;
  }
  removeClaimed(policy.modeHeader);
  removeClaimed(policy.tagHeader);
}

/** A body of unknown length fits no cap: by the time it is known, it has been copied. */
function fitsBody(most: u32): bool {
  if (most == u32.MAX_VALUE) return true;
  const row = findHeader(contentLength);
  if (row < 0 || findHeader(contentLength, row + 1) >= 0) return false;
  const end = valuePtr(row) + valueBytes(row);
  let length: u64 = 0;
  for (let at = valuePtr(row); at < end; at++) {
    const digit = <u32>load<u8>(at) - 48;
    length = length * 10 + digit;
    if (digit > 9 || length > most) return false;
  }
  return true;
}

function sampled(policy: ShadowPolicy): bool {
  if (policy.share == 0) return false;
  const row = findHeader(requestId);
  if (row >= 0) return isSampled(valuePtr(row), valueBytes(row), policy.seed, policy.share);
  store<u64>(clock, nowNs());
  return isSampled(clock, 8, policy.seed, policy.share);
}
