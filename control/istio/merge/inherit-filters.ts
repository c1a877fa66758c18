import type { JsonObject } from "@bufbuild/protobuf";
import { definedOrNothing } from "../manifest.ts";

/** Filters that a rule of an HTTPRoute may have once, and the member that holds what they do. */
const modifiers: Record<string, string> = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
};

/** The filters that a rule had, and Weir's: two that change headers become one, where Weir's word counts. */
export function inheritFilters(
  kept: readonly JsonObject[],
  asked: readonly JsonObject[],
): JsonObject[] {
  const written = new Set(asked.map((each) => JSON.stringify(each)));
  const merged = asked.map((filter) => {
    const member = modifiers[String(filter.type)];
    const before = member && kept.find(({ type }) => type === filter.type);
    return before && member
      ? { ...filter, [member]: joinModifiers(before[member], filter[member]) ?? {} }
      : filter;
  });
  const isTaken = (filter: JsonObject) =>
    written.has(JSON.stringify(filter)) ||
    (String(filter.type) in modifiers && asked.some(({ type }) => type === filter.type));
  return [...kept.filter((filter) => !isTaken(filter)), ...merged];
}

interface Modifier {
  set?: { name: string; value: string }[];
  add?: { name: string; value: string }[];
  remove?: string[];
}

function joinModifiers(before: unknown, asked: unknown): JsonObject | undefined {
  const a = before as Modifier;
  const b = asked as Modifier;
  const pairs = (field: "set" | "add") => {
    const mine = b[field] ?? [];
    const names = mine.map(({ name }) => name.toLowerCase());
    const all = [
      ...(a[field] ?? []).filter(({ name }) => !names.includes(name.toLowerCase())),
      ...mine,
    ];
    return all.length > 0 ? all : undefined;
  };
  const remove = [...new Set([...(a.remove ?? []), ...(b.remove ?? [])])];
  return definedOrNothing({
    set: pairs("set"),
    add: pairs("add"),
    remove: remove.length > 0 ? remove : undefined,
  });
}
