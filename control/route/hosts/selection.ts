import type {
  InferenceRoute,
  ModelMatch,
  PathMatch,
  RequestMatch,
} from "../../gen/weir/v1/route_pb.ts";
import { type Condition, conditionsOf } from "../conditions.ts";

/** A text that must be equal, or begin with this. */
export interface TextMatch {
  kind: "exact" | "prefix";
  text: string;
}

/** One way in which a request can belong to a route; all members that are set must hold. */
export interface Selection {
  model?: TextMatch;
  /** "prefix" holds for the path and those below it. */
  path?: TextMatch;
  method?: string;
  headers: Condition[];
  /** Index of the entry of spec.match that it is made of. */
  entry: number;
  /** The highest that holds wins. */
  rank: number;
}

const maxModelBytes = 256;
const maxPathBytes = 1024;
/** Conditions on headers that an entry can have. */
const maxHeaders = 17;

/** The ways in which requests belong to a route: none where it takes what no other route takes. */
export function selectionsOf(route: InferenceRoute): Selection[] {
  return (route.spec?.match ?? []).flatMap((match, entry) =>
    modelsOf(match.model).map((model) => {
      const path = pathOf(match.path);
      const parts = {
        ...(model ? { model } : {}),
        ...(path ? { path } : {}),
        ...(match.method === "" ? {} : { method: match.method }),
        headers: conditionsOf(match),
      };
      return { ...parts, entry, rank: rankOf(parts) };
    }),
  );
}

function modelsOf(model: ModelMatch | undefined): (TextMatch | undefined)[] {
  if (model === undefined) return [undefined];
  if (model.exact !== "") return [{ kind: "exact", text: model.exact }];
  if (model.prefix !== "") return [{ kind: "prefix", text: model.prefix }];
  return model.in.map((text) => ({ kind: "exact", text }));
}

function pathOf(path: PathMatch | undefined): TextMatch | undefined {
  if (path?.exact) return { kind: "exact", text: path.exact };
  // "/" is below which every path is, and "/v1/" holds for the same as "/v1".
  if (path?.prefix) return { kind: "prefix", text: path.prefix.replace(/(.)\/$/, "$1") };
  return undefined;
}

/** By model, then path, then method, then number of headers: each counts more than all that follow. */
function rankOf({ headers, method, model, path }: Omit<Selection, "entry" | "rank">): number {
  const byModel = specificity(model, maxModelBytes);
  const byPath = specificity(path, maxPathBytes);
  const byMethod = method === undefined ? 0 : 1;
  return (
    ((byModel * (maxPathBytes + 2) + byPath) * 2 + byMethod) * (maxHeaders + 1) + headers.length + 1
  );
}

function specificity(match: TextMatch | undefined, max: number): number {
  if (match === undefined) return 0;
  return match.kind === "exact" ? max + 1 : match.text.length;
}

/** Whether a request can meet both. */
export function canBothHold(a: Selection, b: Selection): boolean {
  if (a.method !== undefined && b.method !== undefined && a.method !== b.method) return false;
  return (
    textsMeet(a.model, b.model, startsWith) &&
    textsMeet(a.path, b.path, isBelow) &&
    a.headers.every((one) => b.headers.every((other) => headersMeet(one, other)))
  );
}

function textsMeet(
  a: TextMatch | undefined,
  b: TextMatch | undefined,
  covers: (prefix: string, text: string) => boolean,
): boolean {
  if (a === undefined || b === undefined) return true;
  if (a.kind === "exact") return b.kind === "exact" ? a.text === b.text : covers(b.text, a.text);
  return covers(a.text, b.text) || (b.kind === "prefix" && covers(b.text, a.text));
}

function startsWith(prefix: string, text: string): boolean {
  return text.startsWith(prefix);
}

/** Whether a path is this one or below it. */
function isBelow(prefix: string, path: string): boolean {
  return prefix === "/" || path === prefix || path.startsWith(`${prefix}/`);
}

function headersMeet(a: Condition, b: Condition): boolean {
  if (a.header !== b.header) return true;
  const isAbsent = ({ value }: Condition) => value.case === "present" && !value.value;
  if (isAbsent(a) || isAbsent(b)) return isAbsent(a) && isAbsent(b);
  return textsMeet(textOf(a), textOf(b), startsWith);
}

function textOf({ value }: Condition): TextMatch | undefined {
  return value.case === "exact" || value.case === "prefix"
    ? { kind: value.case, text: value.value }
    : undefined;
}

/** An entry of a match in words, for messages. */
export function describe(match: RequestMatch | undefined): string {
  if (match === undefined) return "";
  const { method, model, path } = match;
  const words = [
    ...(model ? [`model ${wordsOf(model)}`] : []),
    ...(path ? [`path ${wordsOf(path)}`] : []),
    ...(method === "" ? [] : [`method ${method}`]),
    ...conditionsOf(match).map(({ header }) => `header ${header}`),
  ];
  return words.join(", ");
}

function wordsOf(match: { exact: string; prefix: string; in?: string[] }): string {
  if (match.exact !== "") return match.exact;
  return match.prefix === "" ? (match.in ?? []).join(" or ") : `${match.prefix}*`;
}
