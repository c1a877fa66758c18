import type { JsonValue } from "@bufbuild/protobuf";
import type { Manifest, Origin } from "../manifest.ts";
import { emptyText, indent, type Text, textOf, write, writeAllowed } from "./text.ts";

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
  const text = emptyText();
  manifests.forEach(({ object, origins }, index) => {
    if (index > 0) write(text, "---\n");
    const tree = originTree(origins);
    writeComment(text, tree, 0);
    writeMembers(text, object as unknown as Record<string, JsonValue>, 0, tree, false);
  });
  return textOf(text);
}

/** Members of a map, a line or more each; `begun`: the first line has its dash already. */
function writeMembers(
  text: Text,
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
    if (first) first = false;
    else {
      writeComment(text, below, depth);
      indent(text, depth);
    }
    writeScalar(text, key);
    // A scalar stands on the same line, a list or map on the next ones.
    if (isEmptyOrScalar(value)) {
      write(text, ": ");
      writeLeaf(text, value);
    } else {
      write(text, ":\n");
      if (Array.isArray(value)) writeItems(text, value, depth + 1, below, false);
      else writeMembers(text, value as Record<string, JsonValue>, depth + 1, below, false);
    }
  }
}

/** Items of a list; the first line of an item shares its line with the dash. */
function writeItems(
  text: Text,
  items: JsonValue[],
  depth: number,
  origins: OriginTree | undefined,
  begun: boolean,
): void {
  for (let index = 0; index < items.length; index++) {
    const item = items[index] as JsonValue;
    const below = origins?.below.get(index);
    if (!begun || index > 0) {
      writeComment(text, below, depth);
      indent(text, depth);
    }
    write(text, "- ");
    if (isEmptyOrScalar(item)) writeLeaf(text, item);
    else if (Array.isArray(item)) writeItems(text, item, depth + 1, below, true);
    else writeMembers(text, item as Record<string, JsonValue>, depth + 1, below, true);
  }
}

function isEmptyOrScalar(value: JsonValue): boolean {
  if (value === null || typeof value !== "object") return true;
  if (Array.isArray(value)) return value.length === 0;
  for (const _ in value) return false;
  return true;
}

/** A scalar or an empty list or map, and the end of its line. */
function writeLeaf(text: Text, value: JsonValue): void {
  if (typeof value === "string") writeScalar(text, value);
  else if (Array.isArray(value)) write(text, "[]");
  else write(text, value !== null && typeof value === "object" ? "{}" : JSON.stringify(value));
  write(text, "\n");
}

function writeScalar(text: Text, value: string): void {
  // Most texts are longer than any of the words and of harmless characters alone.
  const simple = value.length > 5 && begins[value.charCodeAt(0)] === 1;
  if (simple && writeAllowed(text, value, harmless)) return;
  const plain = plainText.test(value) && !words.has(value.toLowerCase());
  write(text, plain ? value : quoted(value));
}

/** By character code. "e" is left out: "e10" is a number to some. */
const begins = table(/[A-DF-Za-df-z/]/);
const harmless = table(/[A-Za-z0-9_./,@+-]/);

function table(characters: RegExp): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) =>
    characters.test(String.fromCharCode(code)) ? 1 : 0,
  );
}

function quoted(value: string): string {
  return JSON.stringify(value).replace(
    unsafeInYaml,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function writeComment(text: Text, origins: OriginTree | undefined, depth: number): void {
  if (origins?.text === undefined) return;
  const lines = lineBreak.test(origins.text) ? origins.text.split(lineBreak) : [origins.text];
  for (const line of lines) {
    indent(text, depth);
    // Not put together first: that would be one more string for each.
    write(text, "# ");
    write(text, line);
    write(text, "\n");
  }
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
