import type { JsonObject } from "@bufbuild/protobuf";
import { defined } from "../manifest.ts";
import { isEveryPath } from "./every-path.ts";

/** One http rule of a VirtualService. */
export type HttpRule = JsonObject & { name?: string; match?: JsonObject[]; route?: JsonObject[] };

/** Where Weir's rules go among those of an existing VirtualService. */
export interface Place {
  /** Number of other rules that stay before them. */
  at: number;
  /** The other rules, in their order. */
  others: readonly HttpRule[];
  /** Index of the rule for every request that they take the place of; -1: there is none. */
  catchAll: number;
}

/** Where they were before, else in the place of the rule that takes every request, else last. */
export function placeAmong(rules: readonly HttpRule[], route: string): Place {
  const own = rules.map((rule) => String(rule.name ?? "").startsWith(`${route}/`));
  const foreign = rules.filter((_, index) => !own[index]);
  if (own.includes(true)) return { at: own.indexOf(true), others: foreign, catchAll: -1 };
  const catchAll = foreign.findIndex(takesAll);
  return {
    at: catchAll >= 0 ? catchAll : foreign.length,
    others: foreign.filter((_, index) => index !== catchAll),
    catchAll,
  };
}

function takesAll({ match }: HttpRule): boolean {
  return (
    match === undefined ||
    match.length === 0 ||
    match.some((each) => {
      const uri = each.uri as JsonObject | undefined;
      const fields = Object.keys(each).filter(
        (field) => !["name", "ignoreUriCase"].includes(field),
      );
      const everyPath = uri?.prefix === "/" || isEveryPath(uri?.regex);
      return fields.length === 0 || (fields.length === 1 && everyPath);
    })
  );
}

/** Destinations of a rule. */
export function destinationsOf(rule: HttpRule): JsonObject[] {
  return (rule.route ?? []).map(({ destination }) => (destination ?? {}) as JsonObject);
}

/** Converts the old single mirror to an entry of the list. */
export function mirrorsOf(rule: HttpRule): JsonObject[] {
  const { mirror, mirrorPercent, mirrorPercentage } = rule;
  if (mirror === undefined) return (rule.mirrors as JsonObject[] | undefined) ?? [];
  const percent =
    mirrorPercentage ?? (typeof mirrorPercent === "number" ? { value: mirrorPercent } : undefined);
  return [defined({ destination: mirror, percentage: percent })];
}
