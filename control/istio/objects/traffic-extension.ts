import type { JsonObject } from "@bufbuild/protobuf";
import type { InferenceRoute } from "../../gen/weir/v1/route_pb.ts";
import { filterFailureOf } from "../../route/index.ts";
import { type AttachPoint, selection } from "../attach.ts";
import { defined, type Manifest, metadataFor } from "../manifest.ts";

/** Where the filters' code comes from, and their configuration. */
export interface FilterCode {
  /** file, http(s) or oci URL of weir.wasm. */
  wasmUrl: string;
  /** SHA-256 of the code in hex; absent: not checked. */
  wasmSha256?: string | undefined;
  /** The FilterConfig document of the routes. */
  pluginConfig: JsonObject;
  /** Root id of the filter. */
  pluginName: string;
  priority: number;
  /** What becomes of requests while a trap has taken the filter away. */
  failStrategy: FailStrategy;
  /** The fields that the configuration comes from. */
  origin: string;
}

/** Istio's words for it; its FAIL_CLOSE would refuse until someone restarts the proxy. */
export type FailStrategy = "FAIL_RELOAD" | "FAIL_OPEN";

/** What holds for the routes that one of these filters serves. */
export function failStrategyOf(routes: readonly InferenceRoute[]): FailStrategy {
  return filterFailureOf(routes) === "pass" ? "FAIL_OPEN" : "FAIL_RELOAD";
}

/** Root id of the filter with all four decisions in it. */
export const pluginName = "weir";

/**
 * Filters of one phase run by priority, high ones first. Written down because
 * Istio sorts an absent priority differently from the 0 it documents.
 */
export const filterPriority = 10;

/**
 * The TrafficExtension (Istio 1.30 and later) of an attach point: the filters
 * run after authentication and authorization, before the router.
 */
export function trafficExtension(point: AttachPoint, code: FilterCode): Manifest {
  return {
    object: {
      apiVersion: "extensions.istio.io/v1alpha1",
      kind: "TrafficExtension",
      metadata: metadataFor(point.name, point.namespace, point.routes),
      spec: defined({
        ...attachment(point),
        phase: "UNSPECIFIED",
        priority: code.priority,
        wasm: wasm(code),
      }),
    },
    origins: [
      { path: [], text: filterOrigin(point, "TrafficExtension") },
      { path: ["spec", "wasm", "pluginConfig"], text: code.origin },
    ],
  };
}

export const pluginConfigOrigin =
  "spec.canary, spec.rateLimit, spec.compression, spec.shadow of the routes";

export function filterOrigin(point: AttachPoint, kind: string): string {
  return `${kind} of ${point.routes.join(", ")}: spec.attach`;
}

/** The part that both kinds share: code, configuration and failure policy. */
export function wasm(code: FilterCode): JsonObject {
  return defined({
    url: code.wasmUrl,
    sha256: code.wasmSha256,
    pluginName: code.pluginName,
    failStrategy: code.failStrategy,
    pluginConfig: code.pluginConfig,
  });
}

/** The filter's proxies, and in the mesh the side of the sidecar it runs on. */
export function attachment(point: AttachPoint): JsonObject {
  const sidecar = point.side === "client" || point.side === "server";
  return defined({
    ...selection(point),
    match: sidecar ? [{ mode: point.side.toUpperCase() }] : undefined,
  });
}
