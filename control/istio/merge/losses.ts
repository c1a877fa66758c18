import type { JsonValue } from "@bufbuild/protobuf";
import type { Report } from "../../route/index.ts";

/**
 * Reports what one value said that the value in its place does not say: each member,
 * however deep, that is gone or is another now.
 * @param path of both, below the object's spec
 */
export function reportLosses(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  path: string,
  lose: Report,
): void {
  if (before === undefined) return;
  if (isObject(before)) {
    const members = isObject(after) ? after : {};
    for (const [name, value] of Object.entries(before))
      reportLosses(value, members[name], path === "" ? name : `${path}.${name}`, lose);
    return;
  }
  if (isContained(before, after)) return;
  const became = after === undefined ? "is dropped" : `becomes ${JSON.stringify(after)}`;
  lose("merge-loss", `spec.${path}`, `${path} ${JSON.stringify(before)} ${became}`);
}

/** Whether a value is still there: itself, or as a part of a list. */
function isContained(before: JsonValue, after: JsonValue | undefined): boolean {
  if (Array.isArray(before) && Array.isArray(after)) {
    const there = after.map((each) => JSON.stringify(each));
    return before.every((each) => there.includes(JSON.stringify(each)));
  }
  return JSON.stringify(before) === JSON.stringify(after);
}

function isObject(value: JsonValue | undefined): value is Record<string, JsonValue> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
