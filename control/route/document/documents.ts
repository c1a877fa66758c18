import {
  type Document,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  visit,
} from "yaml";
import { nestingProblem } from "../../text/nesting.ts";
import type { Problem } from "../problem.ts";

/** Larger files are refused; a route of 10,000 tenants has about half of it. */
const maxBytes = 1 << 20;
/** Maximum number of reported errors of one document: one mistake often causes many. */
const maxErrors = 10;

/** One document of a text: the prefix of its problems' paths, and how to read it. */
export interface TextDocument {
  /** Empty for the first one, then "document 2: ". */
  prefix: string;
  /** @throws Error for one that unfolds to too much */
  read(): unknown;
}

/**
 * Takes a text of YAML or JSON apart; syntax is checked here, meaning is not.
 * Documents without content are skipped, as kubectl skips them: `helm template`
 * writes comments only where a condition is false. Merge keys (`<<`) are taken.
 */
export function readDocuments(text: string): { documents: TextDocument[]; problems: Problem[] } {
  const size = Buffer.byteLength(text);
  if (size > maxBytes)
    return unread("too-large", `the file has ${size} bytes: at most ${maxBytes} are allowed`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point.
  if (/[\u0000-\u0008\u000e-\u001f]/.test(text))
    return unread("not-text", "the file is not a text file: it contains control characters");
  const nesting = nestingProblem(text);
  if (nesting !== undefined) return unread("yaml", `the file ${nesting}`);
  const lineCounter = new LineCounter();
  const parsed = parseAllDocuments(text.replace(/^\ufeff/, ""), {
    prettyErrors: true,
    merge: true,
    lineCounter,
    // The reader holds each key against each other: seconds for 10,000 tenants.
    uniqueKeys: false,
  });
  const documents: TextDocument[] = [];
  const problems: Problem[] = [];
  (Array.isArray(parsed) ? parsed : []).forEach((document, index) => {
    const prefix = index === 0 ? "" : `document ${index + 1}: `;
    const errors = [
      ...document.errors.map(({ message }) => firstLine(message)),
      ...repeatedKeys(document, lineCounter),
    ];
    for (const message of errors.slice(0, maxErrors))
      problems.push({ code: "yaml", path: prefix, message });
    const more = errors.length - maxErrors;
    if (more > 0)
      problems.push({ code: "yaml", path: prefix, message: `${more} more errors of this kind` });
    if (errors.length > 0 || isEmpty(document)) return;
    for (const { path, ...problem } of ambiguities(document))
      problems.push({ ...problem, path: prefix + path });
    documents.push({ prefix, read: () => document.toJS({ maxAliasCount: 100 }) as unknown });
  });
  if (documents.length === 0 && problems.length === 0)
    return unread("empty", "the file contains no document");
  return { documents, problems };
}

/** The first line of an error of the YAML reader or of protobuf. */
export function firstLine(message: string): string {
  return message.split("\n", 1)[0]?.replace(/:$/, "") ?? message;
}

function unread(code: string, message: string) {
  return { documents: [], problems: [{ code, path: "", message }] };
}

function isEmpty({ contents }: Document.Parsed): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

/** Keys that a mapping has for the second time: of two values one would be lost. */
function repeatedKeys(document: Document.Parsed, lines: LineCounter): string[] {
  const messages: string[] = [];
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) {
          const { line, col } = lines.linePos(key.range?.[0] ?? 0);
          messages.push(`Map keys must be unique at line ${line}, column ${col}`);
        }
        seen.add(key.value);
      }
    },
  });
  return messages;
}

// YAML 1.2, which this reader speaks, and Kubernetes' own reader (YAML 1.1 in
// part) take some plain scalars for different things, and both give keys in
// another form than they are written: a tenant 007 would silently become "7".

/** Words that YAML 1.1 takes for true and false. */
const oldBooleans: Record<string, boolean> = {
  ...{ y: true, yes: true, on: true },
  ...{ n: false, no: false, off: false },
};
/** Numbers that YAML 1.1 takes for octal ones, and the way YAML 1.2 writes those. */
const octal = /^[-+]?0[o0-9_]/;
const maxShownCharacters = 64;

function ambiguities(document: Document.Parsed): Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Scalar(position, node, ancestors) {
      const { source = "", type, value } = node;
      if (type !== "PLAIN" || typeof value === "symbol") return;
      const path = () => pathOf([...ancestors, node]);
      const shown = source.length > maxShownCharacters ? "a long one" : source;
      if (position === "key") {
        const read = oldBooleans[source.toLowerCase()] ?? value ?? "";
        if (String(read) === source) return;
        const message = `the key ${shown} would be read as "${read}": put it in quotes`;
        problems.push({ code: "ambiguous-key", path: path(), message });
      } else if (typeof value === "number" && octal.test(source)) {
        const message = `${shown} is ${value} here, but kubectl may read it as octal: leave out the leading zero, or quote it if it is text`;
        problems.push({ code: "ambiguous-number", path: path(), message });
      }
    },
  });
  return problems;
}

/** "spec.tiers[1].name" of the last of some nodes, each of which stands in the one before. */
function pathOf(chain: readonly unknown[]): string {
  let path = "";
  chain.forEach((each, index) => {
    if (isPair(each)) {
      const key = isScalar(each.key) ? (each.key.source ?? String(each.key.value)) : "?";
      path += path === "" ? key : `.${key}`;
    } else if (isSeq(each) && index + 1 < chain.length)
      path += `[${each.items.indexOf(chain[index + 1])}]`;
  });
  return path;
}
