import { createHash } from "node:crypto";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { TypeName } from "../../../control/xds/types.ts";
import { endpointsOf, filtersOf } from "../../rollout/fake-proxy.ts";
import { printOf } from "../states.ts";

/** What a proxy finds in the resources of one type. */
export interface Reading {
  /** Resources of another type that these name, to be asked for. */
  names: { type: TypeName; all: string[] } | undefined;
  /** The filters' configuration: routes with the print of their buckets. */
  prints: ReadonlyMap<string, string> | undefined;
}

// Two hundred proxies are sent the same bytes: they are read once.
const read = new Map<string, Reading>();
const maxRead = 500;

export function readResources(type: TypeName, resources: readonly Any[]): Reading {
  const hash = createHash("sha1").update(type);
  for (const { value } of resources) hash.update(value);
  const key = hash.digest("base64");
  const known = read.get(key);
  if (known) return known;
  if (read.size > maxRead) read.clear();
  const reading: Reading = {
    names:
      type === "CDS"
        ? { type: "EDS", all: endpointsOf(resources) }
        : type === "LDS"
          ? { type: "ECDS", all: filtersOf(resources) }
          : undefined,
    prints: type === "ECDS" ? printsIn(resources.map(({ value }) => value)) : undefined,
  };
  read.set(key, reading);
  return reading;
}

/** The configuration that the filters read. */
export interface ConfigText {
  revision: string;
  routes?: { name: string; canary?: { buckets?: { variant: string; count: number }[] } }[];
}

/** Finds the configuration of weir.wasm in the bytes of an extension: one JSON text beside the module. */
export function printsIn(values: readonly Uint8Array[]): Map<string, string> | undefined {
  for (const value of values) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const begin = bytes.lastIndexOf('{"revision":');
    if (begin < 0) continue;
    const config = parseFrom(bytes.toString("utf8", begin));
    const prints = config && printsOf(config);
    if (prints) return prints;
  }
  return undefined;
}

/** Prints of all routes of a configuration; undefined for the token limit's copy, which has no buckets. */
export function printsOf({ routes = [] }: ConfigText): Map<string, string> | undefined {
  const policies = routes.filter(({ canary }) => canary?.buckets);
  if (policies.length === 0 && routes.length > 0) return undefined;
  return new Map(policies.map(({ name, canary }) => [name, printOf(canary?.buckets ?? [])]));
}

/** The JSON text that these characters begin with; after it other fields may follow. */
function parseFrom(text: string): ConfigText | undefined {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString) {
      if (char === "\\") at++;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return JSON.parse(text.slice(0, at + 1)) as ConfigText;
  }
  return undefined;
}
