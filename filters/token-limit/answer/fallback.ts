import { cellOfVariant, RESPONSE_FALLBACK } from "../../measure";
import { literal, readProperty } from "../../sdk";
import { countOfTenant, Stream } from "../stream";

/** What control/xds gives every pod of a route whose variants have fallbacks. */
const answering = literal("xds\0upstream_host_metadata\0filter_metadata\0weir\0variant");

/**
 * Counts the status of an answer. Where the pods of another variant gave it, a success is none of the
 * chosen one's, and all that is seen of the answer from here on is the other one's.
 */
export function countStatus(stream: Stream, status: i32): void {
  const cell = stream.cell;
  const name = stream.mayFallBack && cell.variantBytes > 0 ? readProperty(answering) : null;
  if (name !== null) {
    const other = cellOfVariant(cell, name.ptr, name.bytes);
    if (other !== cell) {
      countOfTenant(stream, stream.statusClass == 2 ? RESPONSE_FALLBACK : status);
      // Without room for it, what is seen of the answer stays where it is.
      if (other !== null) stream.cell = other;
      const own = stream.tenantCell;
      if (own !== null) stream.tenantCell = cellOfVariant(own, name.ptr, name.bytes);
      return;
    }
  }
  countOfTenant(stream, status);
}
