import type { JsonValue } from "@bufbuild/protobuf";
import type { Manifest, Origin } from "./manifest.ts";

/** Origins by path, walked alongside the object. */
interface OriginTree {
  text?: string;
  below: Map<string | number, OriginTree>;
}

/**
 * Text that every YAML reader, 1.1 and 1.2, takes for a string as it stands.
 * Anything else is quoted: numbers in any notation start with a digit, sign or
 * dot (a duration in seconds is none), and the words below are booleans or null
 * to one reader or another, "e1" a broken number.
 */
const plainText =
  /^(?![eE]\d+$)(?:[A-Za-z/](?:[A-Za-z0-9_./,@+-]|:(?=[A-Za-z0-9_./@+-]))*|\d+(?:\.\d+)?s)$/;
const words = new Set(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"]);

const lineBreak = /\r\n|[\n\r\u0085\u2028\u2029]/;

/** Characters that JSON leaves as they are but YAML forbids or takes for a line break. */
const unsafeInYaml = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

/**
 * The manifests as one YAML stream; the same manifests give the same bytes.
 * Written by hand rather than by a library because Kubernetes reads YAML 1.1,
 * where `on` is true and `0x1` is one, and because it must keep up with
 * thousands of routes.
 */
export function toYaml(manifests: Manifest[]): string {
  const documents: string[] = [];
  for (const { object, origins } of manifests) {
    const writer: Writer = { out: [], seen: new Map() };
    const tree = originTree(origins);
    writeComment(writer.out, tree, 0);
    writeMembers(writer, object as unknown as Record<string, JsonValue>, 0, tree, false);
    documents.push(writer.out.join(""));
  }
  return documents.join("---\n");
}

/** One document on its way. */
interface Writer {
  /** Pieces of the text. */
  out: string[];
  /** Where each map that was written stands in `out`: the rules of a route share some of theirs. */
  seen: Map<object, { depth: number; from: number; to: number }>;
}

/** Members of a map, a line or more each; `begun`: the first line has its dash already. */
function writeMembers(
  writer: Writer,
  members: Record<string, JsonValue | undefined>,
  depth: number,
  origins: OriginTree | undefined,
  begun: boolean,
): void {
  let first = begun;
  for (const key in members) {
    const value = members[key];
    if (value === undefined) continue;
    const below = origins?.below.get(key);
    if (!first) writeComment(writer.out, below, depth);
    const texts = keyTexts(key, first ? 0 : depth);
    first = false;
    // A scalar stands on the same line, a list or map on the next ones.
    if (typeof value === "string") writer.out.push(texts.inline, line(value));
    else if (isEmptyOrScalar(value)) writer.out.push(texts.inline, `${leafText(value)}\n`);
    else {
      writer.out.push(texts.alone);
      if (Array.isArray(value)) writeItems(writer, value, depth + 1, below, false);
      else if (below !== undefined)
        writeMembers(writer, value as Record<string, JsonValue>, depth + 1, below, false);
      else writeRepeated(writer, value as Record<string, JsonValue>, depth + 1);
    }
  }
}

/** A map without comments; one that is there already at this depth is copied. */
function writeRepeated(writer: Writer, members: Record<string, JsonValue>, depth: number): void {
  const { out, seen } = writer;
  const known = seen.get(members);
  if (known?.depth === depth) {
    for (let at = known.from; at < known.to; at++) out.push(out[at] as string);
    return;
  }
  const from = out.length;
  writeMembers(writer, members, depth, undefined, false);
  seen.set(members, { depth, from, to: out.length });
}

/** Items of a list; the first line of an item shares its line with the dash. */
function writeItems(
  writer: Writer,
  items: JsonValue[],
  depth: number,
  origins: OriginTree | undefined,
  begun: boolean,
): void {
  for (let index = 0; index < items.length; index++) {
    const item = items[index] as JsonValue;
    const below = origins?.below.get(index);
    const first = begun && index === 0;
    if (!first) writeComment(writer.out, below, depth);
    writer.out.push(first ? "- " : dashText(depth));
    if (typeof item === "string") writer.out.push(line(item));
    else if (isEmptyOrScalar(item)) writer.out.push(`${leafText(item)}\n`);
    else if (Array.isArray(item)) writeItems(writer, item, depth + 1, below, true);
    else writeMembers(writer, item as Record<string, JsonValue>, depth + 1, below, true);
  }
}

/** How a line begins: with the value behind the key, or on the next lines. */
interface KeyTexts {
  inline: string;
  alone: string;
}

/** Lines begin alike again and again: indent and key are put together once. */
const knownKeys: Map<string, KeyTexts>[] = [];
const dashTexts: string[] = [];
const mostKnown = 4096;

function keyTexts(key: string, depth: number): KeyTexts {
  let there = knownKeys[depth];
  if (there === undefined) {
    there = new Map();
    knownKeys[depth] = there;
  }
  const known = there.get(key);
  if (known !== undefined) return known;
  const text = `${"  ".repeat(depth)}${scalarText(key)}:`;
  const texts = { inline: `${text} `, alone: `${text}\n` };
  if (there.size < mostKnown) there.set(key, texts);
  return texts;
}

function dashText(depth: number): string {
  dashTexts[depth] ??= `${"  ".repeat(depth)}- `;
  return dashTexts[depth];
}

function isEmptyOrScalar(value: JsonValue): boolean {
  if (value === null || typeof value !== "object") return true;
  if (Array.isArray(value)) return value.length === 0;
  for (const _ in value) return false;
  return true;
}

function leafText(value: JsonValue): string {
  if (typeof value === "string") return scalarText(value);
  if (Array.isArray(value)) return "[]";
  return value !== null && typeof value === "object" ? "{}" : JSON.stringify(value);
}

/** Texts are mostly the same few: each with its line's end. */
const lines = new Map<string, string>();

function line(text: string): string {
  const known = lines.get(text);
  if (known !== undefined) return known;
  const made = `${scalarText(text)}\n`;
  if (text.length <= 32 && lines.size < mostKnown) lines.set(text, made);
  return made;
}

function scalarText(text: string): string {
  if (plainText.test(text) && !words.has(text.toLowerCase())) return text;
  return JSON.stringify(text).replace(
    unsafeInYaml,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function writeComment(out: string[], origins: OriginTree | undefined, depth: number): void {
  if (origins?.text === undefined) return;
  const indent = "  ".repeat(depth);
  if (!lineBreak.test(origins.text)) out.push(indent, "# ", origins.text, "\n");
  else for (const line of origins.text.split(lineBreak)) out.push(indent, "# ", line, "\n");
}

function originTree(origins: Origin[]): OriginTree {
  const root: OriginTree = { below: new Map() };
  for (const { path, text } of origins) {
    let node = root;
    for (const step of path) {
      const next = node.below.get(step) ?? { below: new Map() };
      node.below.set(step, next);
      node = next;
    }
    node.text = text;
  }
  return root;
}
