import type { HeaderMatch, RequestMatch } from "../gen/weir/v1/route_pb.ts";

/** A condition on one header of a request. */
export type Condition = Pick<HeaderMatch, "header" | "value">;

/** The conditions on headers of an entry of a match; all must hold. */
export function conditionsOf(match: RequestMatch): Condition[] {
  const own = match.header === "" ? [] : valuesOf(match).slice(0, 1);
  return [
    ...own.map((value) => ({ header: match.header, value })),
    ...match.headers.map(({ header, value }) => ({ header, value })),
  ];
}

/** What is written into an entry itself about its header: exactly one where it is right. */
export function valuesOf({ exact, prefix, present }: RequestMatch): Condition["value"][] {
  return [
    ...(exact === undefined ? [] : [{ case: "exact" as const, value: exact }]),
    ...(prefix === undefined ? [] : [{ case: "prefix" as const, value: prefix }]),
    ...(present === undefined ? [] : [{ case: "present" as const, value: present }]),
  ];
}
