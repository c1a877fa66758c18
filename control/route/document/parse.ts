import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type InferenceRoute, InferenceRouteSchema } from "../../gen/weir/v1/route_pb.ts";
import { errorText } from "../../text/error-text.ts";
import type { Problem } from "../problem.ts";
import { validateAll } from "../validate/validate.ts";
import { firstLine, readDocuments } from "./documents.ts";
import { checkStructure, structureOf } from "./structure.ts";

/** Routes of a text and everything that is wrong with them; routes is empty when anything is. */
export interface ParsedRoutes {
  routes: InferenceRoute[];
  /** Prefix of the problems' paths of each route: "", then "document 2: ". */
  prefixes: string[];
  problems: Problem[];
}

/** A document as far as it can be read. */
interface Draft {
  prefix: string;
  /** Without what is wrong with its shape; undefined where too much is. */
  route?: InferenceRoute;
  problems: Problem[];
  /** Paths with wrong values: further problems there would only be consequences. */
  faults: readonly string[];
}

/**
 * Reads one or several YAML (or JSON) documents and checks them: syntax, shape
 * and meaning, as far as each can be checked. Paths of the second document on start
 * with "document 2: ".
 */
export function parseRoutes(text: string): ParsedRoutes {
  const { documents, problems } = readDocuments(text);
  const drafts = documents.map(({ prefix, read }) => draftOf(prefix, read));
  const readable = drafts.filter((draft) => draft.route !== undefined);
  const found = [
    ...problems,
    ...drafts.flatMap((draft) => draft.problems),
    ...validateAll(
      readable.map(({ route }) => route as InferenceRoute),
      readable.map(({ prefix }) => prefix),
    ).filter(({ path }) => !drafts.some((draft) => follows(path, draft))),
  ];
  if (found.length > 0) return { routes: [], prefixes: [], problems: found };
  return {
    routes: readable.map(({ route }) => route as InferenceRoute),
    prefixes: readable.map(({ prefix }) => prefix),
    problems: [],
  };
}

/** Checks the shape of one document, given as plain JSON, and reads it. */
export function parseRoute(value: unknown): Pick<ParsedRoutes, "routes" | "problems"> {
  if (value === null || value === undefined) return refused("empty", "the document is empty");
  const problems = checkStructure(value);
  if (problems.length > 0) return { routes: [], problems };
  try {
    return { routes: [fromJson(InferenceRouteSchema, value as JsonValue)], problems: [] };
  } catch (error) {
    return refused("bad-value", firstLine(String(error)));
  }
}

function draftOf(prefix: string, read: () => unknown): Draft {
  let value: unknown;
  try {
    value = read();
  } catch (error) {
    // Too many aliases: a few hundred bytes that unfold to gigabytes.
    const message = firstLine(errorText(error));
    return { prefix, problems: [{ code: "yaml", path: prefix, message }], faults: [] };
  }
  const { faults, problems, rest } = structureOf(value);
  const named = problems.map((each) => ({ ...each, path: prefix + each.path }));
  if (problems.length === 0) {
    const { routes, problems } = parseRoute(value);
    const [route] = routes;
    return { prefix, ...(route ? { route } : {}), problems, faults };
  }
  if (rest === undefined) return { prefix, problems: named, faults };
  try {
    const route = fromJson(InferenceRouteSchema, rest as JsonValue);
    return { prefix, route, problems: named, faults };
  } catch {
    return { prefix, problems: named, faults };
  }
}

/** Whether a problem is about a place that was found wrong already, something in it, or what it is in. */
function follows(path: string, { faults, prefix }: Draft): boolean {
  if (!path.startsWith(prefix) || (prefix === "" && path.startsWith("document "))) return false;
  const place = path.slice(prefix.length);
  return faults.some((fault) => isWithin(place, fault) || isWithin(fault, place));
}

function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}.`) || path.startsWith(`${place}[`);
}

function refused(code: string, message: string) {
  return { routes: [], problems: [{ code, path: "", message }] };
}
