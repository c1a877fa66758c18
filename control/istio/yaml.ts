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

/** Characters that JSON leaves as they are but YAML forbids or takes for a line break. */
const unsafeInYaml = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

/**
 * The manifests as one YAML stream; the same manifests give the same bytes.
 * Written by hand rather than by a library because Kubernetes reads YAML 1.1,
 * where `on` is true and `0x1` is one, and because it must keep up with
 * thousands of routes.
 */
export function toYaml(manifests: Manifest[]): string {
  const out: string[] = [];
  for (const { object, origins } of manifests) {
    if (out.length > 0) out.push("---\n");
    const tree = originTree(origins);
    writeComment(out, tree, "");
    writeMembers(out, object as unknown as Record<string, JsonValue>, "", tree);
  }
  return out.join("");
}

function writeMembers(
  out: string[],
  members: Record<string, JsonValue | undefined>,
  indent: string,
  origins: OriginTree | undefined,
): void {
  for (const [key, value] of Object.entries(members)) {
    if (value === undefined) continue;
    const below = origins?.below.get(key);
    writeComment(out, below, indent);
    out.push(indent, scalarText(key), ":");
    writeValue(out, value, indent, below);
  }
}

/** After "key:": a scalar on the same line, a list or map on the next ones. */
function writeValue(
  out: string[],
  value: JsonValue,
  indent: string,
  origins: OriginTree | undefined,
): void {
  if (isEmptyOrScalar(value)) {
    out.push(" ", leafText(value), "\n");
  } else if (Array.isArray(value)) {
    out.push("\n");
    writeItems(out, value, `${indent}  `, origins);
  } else {
    out.push("\n");
    writeMembers(out, value as Record<string, JsonValue>, `${indent}  `, origins);
  }
}

function writeItems(
  out: string[],
  items: JsonValue[],
  indent: string,
  origins: OriginTree | undefined,
): void {
  for (const [index, item] of items.entries()) {
    const below = origins?.below.get(index);
    writeComment(out, below, indent);
    if (isEmptyOrScalar(item)) {
      out.push(indent, "- ", leafText(item), "\n");
      continue;
    }
    const inner: string[] = [];
    if (Array.isArray(item)) writeItems(inner, item, `${indent}  `, below);
    else writeMembers(inner, item as Record<string, JsonValue>, `${indent}  `, below);
    // The first line of the item shares its line with the dash.
    out.push(indent, "- ", inner.join("").slice(indent.length + 2));
  }
}

function isEmptyOrScalar(value: JsonValue): boolean {
  if (value === null || typeof value !== "object") return true;
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
}

function leafText(value: JsonValue): string {
  if (typeof value === "string") return scalarText(value);
  if (Array.isArray(value)) return "[]";
  return value !== null && typeof value === "object" ? "{}" : JSON.stringify(value);
}

function scalarText(text: string): string {
  if (plainText.test(text) && !words.has(text.toLowerCase())) return text;
  return JSON.stringify(text).replace(
    unsafeInYaml,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function writeComment(out: string[], origins: OriginTree | undefined, indent: string): void {
  if (origins?.text === undefined) return;
  for (const line of origins.text.split(/\r\n|[\n\r\u0085\u2028\u2029]/)) {
    out.push(indent, "# ", line, "\n");
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
