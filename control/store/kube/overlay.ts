import { isDeepStrictEqual } from "node:util";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/**
 * A live value with only that changed which differs between before and after:
 * what means the same but is written otherwise ("600000" and 600000) stays as
 * its owner wrote it.
 */
export function overlay(live: JsonValue, before: JsonValue, after: JsonValue): JsonValue {
  if (isDeepStrictEqual(before, after)) return live;
  if (isObject(live) && isObject(before) && isObject(after)) {
    const out: JsonObject = {};
    for (const key of new Set([...Object.keys(live), ...Object.keys(after)])) {
      const [was, is, shown] = [before[key], after[key], live[key]];
      if (is === undefined) {
        // Ours and gone; what was never ours stays.
        if (was === undefined && shown !== undefined) out[key] = shown;
      } else out[key] = was === undefined || shown === undefined ? is : overlay(shown, was, is);
    }
    return out;
  }
  if (Array.isArray(live) && Array.isArray(before) && Array.isArray(after))
    if (live.length === before.length && before.length === after.length)
      return after.map((each, index) =>
        overlay(live[index] as JsonValue, before[index] as JsonValue, each),
      );
  return after;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
