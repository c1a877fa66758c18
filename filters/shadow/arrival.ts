import { tenantHeader, tierHeader } from "../plugin";
import {
  findHeader,
  hasHeader,
  isText,
  literal,
  nextHeader,
  REQUEST_HEADERS,
  removeHeader,
  setHeader,
  Text,
  textBytes,
  textPtr,
  valueBytes,
  valuePtr,
} from "../sdk";
import { markBaggage } from "./baggage";
import { ShadowPolicy } from "./config";

const yes = literal("true");
const lowest = literal("shadow");

/**
 * Stamps a request that reached the pods of the shadow variant: whatever arrives
 * there is shadow traffic, also a copy that some VirtualService's plain `mirror`
 * made and that bears no mark but its host's suffix, or none at all. It belongs
 * to no tenant and to the lowest tier.
 */
export function stampArrival(policy: ShadowPolicy): void {
  policy.tagged.pending++;
  put(policy.modeHeader, yes);
  const tag = findHeader(policy.tagHeader);
  // The tag it was sent off with says more than ours.
  if (tag == 0 || valueBytes(tag) == 0 || nextHeader(policy.tagHeader, tag) != 0)
    put(policy.tagHeader, policy.tag);
  if (hasHeader(tenantHeader)) removeHeader(REQUEST_HEADERS, tenantHeader);
  put(tierHeader, lowest);
  if (policy.baggage) markBaggage(policy.tag);
}

/** Sets a header unless it is so already: each write costs a host call. */
function put(name: Text, value: Text): void {
  const row = findHeader(name);
  if (row != 0 && nextHeader(name, row) == 0 && isText(value, valuePtr(row), valueBytes(row)))
    return;
  setHeader(REQUEST_HEADERS, name, textPtr(value), textBytes(value));
}
