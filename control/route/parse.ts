import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { parseAllDocuments } from "yaml";
import { type InferenceRoute, InferenceRouteSchema } from "../gen/weir/v1/route_pb.ts";
import type { Problem } from "./problem.ts";
import { checkStructure } from "./structure.ts";
import { validateAll } from "./validate.ts";

/** Larger files are refused; a route of 10,000 tenants has about half of it. */
const mostBytes = 1 << 20;

/** Routes of a text and everything that is wrong with them; routes is empty when anything is. */
export interface ParsedRoutes {
  routes: InferenceRoute[];
  problems: Problem[];
}

/** One document of a text: where its problems are said to be, and how to read it. */
export interface TextDocument {
  /** Empty for the first one, then "document 2: ". */
  prefix: string;
  /** @throws Error for one that unfolds to too much */
  read(): unknown;
}

/** Takes a text of YAML or JSON apart; syntax is checked here, meaning is not. */
export function readDocuments(text: string): { documents: TextDocument[]; problems: Problem[] } {
  const size = Buffer.byteLength(text);
  if (size > mostBytes)
    return unread("too-large", `the file has ${size} bytes: at most ${mostBytes} are allowed`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point.
  if (/[\u0000-\u0008\u000e-\u001f]/.test(text))
    return unread("not-text", "the file is not text: it has control characters");
  const parsed = parseAllDocuments(text.replace(/^\ufeff/, ""), { prettyErrors: true });
  if (!Array.isArray(parsed) || parsed.length === 0)
    return unread("empty", "the file has no document");
  const documents: TextDocument[] = [];
  const problems: Problem[] = [];
  parsed.forEach((document, index) => {
    const prefix = index === 0 ? "" : `document ${index + 1}: `;
    for (const error of document.errors)
      problems.push({ code: "yaml", path: prefix, message: firstLine(error.message) });
    if (document.errors.length === 0)
      documents.push({ prefix, read: () => document.toJS({ maxAliasCount: 100 }) as unknown });
  });
  return { documents, problems };
}

/**
 * Reads one or several YAML (or JSON) documents and checks them: syntax, shape
 * and meaning. Paths of the second document on start with "document 2: ".
 */
export function parseRoutes(text: string): ParsedRoutes {
  const routes: InferenceRoute[] = [];
  const { documents, problems } = readDocuments(text);
  for (const { prefix, read } of documents) {
    const parsed = parseDocument(read);
    problems.push(...parsed.problems.map((each) => ({ ...each, path: prefix + each.path })));
    routes.push(...parsed.routes);
  }
  problems.push(...validateAll(routes));
  return { routes: problems.length > 0 ? [] : routes, problems };
}

/** Checks the shape of one document, given as plain JSON, and reads it. */
export function parseRoute(value: unknown): ParsedRoutes {
  if (value === null || value === undefined) return refused("empty", "the document is empty");
  const problems = checkStructure(value);
  if (problems.length > 0) return { routes: [], problems };
  try {
    return { routes: [fromJson(InferenceRouteSchema, value as JsonValue)], problems: [] };
  } catch (error) {
    return refused("bad-value", firstLine(String(error)));
  }
}

function parseDocument(read: () => unknown): ParsedRoutes {
  try {
    return parseRoute(read());
  } catch (error) {
    // Too many aliases: a few hundred bytes that unfold to gigabytes.
    return refused("yaml", firstLine(error instanceof Error ? error.message : String(error)));
  }
}

function unread(code: string, message: string) {
  return { documents: [], problems: [{ code, path: "", message }] };
}

function refused(code: string, message: string): ParsedRoutes {
  return { routes: [], problems: [{ code, path: "", message }] };
}

function firstLine(message: string): string {
  return message.split("\n", 1)[0]?.replace(/:$/, "") ?? message;
}
