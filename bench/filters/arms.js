import { readFileSync } from "node:fs";
import { wasmFilter } from "../wasm-filter.js";
import { compressor, nativeFull, nativeHalf } from "./native.js";
import { policies } from "./policies.js";

/**
 * One way to do the work: the HTTP filters in front of the router, what they are
 * expected to do (see ./effects.js), and how many streams lie open beside it.
 * @typedef {{ name: string, says: string, filters: object[], does: "nothing" | "writes" | "half" | "all", open?: number }} Arm
 */

/** @param {string} module path of the .wasm @param {string} [vm] filters of one module and name share a VM */
const wasm = (module, vm) => wasmFilter(module, policies, vm);

const lua = {
  name: "lua",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
    default_source_code: { inline_string: readFileSync("bench/peers/decide.lua", "utf8") },
  },
};

const weir = "build/weir.wasm";

/** Streams that lie open beside the measured requests in the arms named for it. */
export const openStreams = 1000;

/** @param {{ empty: string, bare: string, rust: string, rustMap: string, gcore: string }} built paths of the benchmark's own modules @returns {Arm[]} */
export function arms(built) {
  const chain = ["rate-limit", "shadow", "canary", "compression"];
  return [
    { name: "none", says: "no filter", filters: [], does: "nothing" },
    {
      name: "empty",
      says: "a Wasm filter that does nothing",
      filters: [wasm(built.empty)],
      does: "nothing",
    },
    {
      name: "bare",
      says: "one read of all headers, one header write",
      filters: [wasm(built.bare)],
      does: "writes",
    },
    { name: "weir", says: "weir.wasm: all four decisions", filters: [wasm(weir)], does: "all" },
    {
      name: "weir+gzip",
      says: "weir.wasm and the compressor behind it",
      filters: [wasm(weir), compressor],
      does: "all",
    },
    {
      name: "chain",
      says: "the four as modules of their own",
      filters: chain.map((name) => wasm(`build/${name}.wasm`)),
      does: "all",
    },
    { name: "lua", says: "the same in Envoy's Lua", filters: [lua], does: "all" },
    { name: "native", says: "the same by native filters", filters: nativeFull, does: "all" },
    { name: "half", says: "the cheap half by native filters", filters: nativeHalf, does: "half" },
    {
      name: "rust",
      says: "the same on the Rust SDK, header by header",
      filters: [wasm(built.rust)],
      does: "all",
    },
    {
      name: "rust-map",
      says: "the same on the Rust SDK, one read of all headers",
      filters: [wasm(built.rustMap)],
      does: "all",
    },
    {
      name: "gcore",
      says: "the same on @gcoredev/proxy-wasm-sdk-as",
      filters: [wasm(built.gcore)],
      does: "all",
    },
    {
      name: "none-busy",
      says: "no filter, 1,000 streams open",
      filters: [],
      does: "nothing",
      open: openStreams,
    },
    {
      name: "weir-busy",
      says: "weir.wasm, 1,000 streams open",
      filters: [wasm(weir, "busy")],
      does: "all",
      open: openStreams,
    },
  ];
}
