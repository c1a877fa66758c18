import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { FilterConfigSchema } from "../gen/weir/v1/filter_pb.ts";
import type { InferenceRoute } from "../gen/weir/v1/route_pb.ts";
import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { arrivalConfig, filterConfig, type ReportTarget } from "../route/filter-config.ts";
import { besideWeir, wasmModule } from "../route/module.ts";
import { routeName } from "../route/names.ts";
import type { Problem } from "../route/problem.ts";
import { arrivalPoint } from "./arrival.ts";
import { attachPoints } from "./attach.ts";
import { checkForIstio } from "./check.ts";
import { destinationRule } from "./destination-rule.ts";
import { envoyFilter } from "./envoy-filter.ts";
import type { Manifest } from "./manifest.ts";

import { trafficExtension } from "./traffic-extension.ts";
import { atLeast, defaultIstioVersion, parseIstioVersion } from "./version.ts";
import { virtualService } from "./virtual-service.ts";
import { wasmPlugin } from "./wasm-plugin.ts";

/**
 * Where the proxies find the filters when nothing else is said: a file that
 * the proxies' image or a mounted volume brings along. There is no registry
 * that every cluster can reach, so none is assumed.
 */
export const defaultWasmUrl = "file:///etc/weir/weir.wasm";

export interface RenderOptions {
  /** Istio the manifests are for, "1.30" or "1.30.3"; 1.28 at least. Absent: 1.30. */
  istioVersion?: string | undefined;
  /**
   * file, http, https or oci URL of weir.wasm. Absent: {@link defaultWasmUrl}. Where it ends in
   * "/weir.wasm" and routes need weir-full.wasm, that is taken from beside it.
   */
  wasmUrl?: string | undefined;
  /** SHA-256 of weir.wasm, 64 hex digits. Absent: the code is not checked. */
  wasmSha256?: string | undefined;
  /** Where the filters report to. Absent: nowhere. */
  report?: ReportTarget | undefined;
}

/** A problem of one of several routes. */
export interface RouteProblem extends Problem {
  /** "namespace/name"; empty when the options are wrong. */
  route: string;
}

export interface Rendering {
  /** In the order to apply them; empty when there are problems. */
  manifests: Manifest[];
  problems: RouteProblem[];
}

/**
 * Renders routes as Istio objects; pure. The routes must have passed Weir's own
 * validation; what Istio cannot express comes back as problems, all at once.
 *
 * Subsets come before the routes that name them and filters before the matches
 * on what they write, so that applying in order never leads a request nowhere.
 */
export function renderIstio(states: RouteState[], options: RenderOptions = {}): Rendering {
  const problems = checkOptions(options);
  const ordered = inOrder(states);
  for (const { route } of ordered) {
    if (route === undefined) continue;
    const id = routeName(route);
    problems.push(...checkForIstio(route).map((found) => ({ ...found, route: id })));
  }
  const version = parseIstioVersion(options.istioVersion ?? defaultIstioVersion);
  if (problems.length > 0 || typeof version === "string") return { manifests: [], problems };

  const routes = ordered.flatMap((state) => state.route ?? []);
  const points = attachPoints(ordered);
  const since30 = atLeast(version, { major: 1, minor: 30 });
  const extension = since30 ? trafficExtension : wasmPlugin;
  const manifests = [
    ...routes.map(destinationRule),
    ...points.map((point) =>
      extension(point, {
        wasmUrl: besideWeir(options.wasmUrl ?? defaultWasmUrl, wasmModule(point.states)),
        wasmSha256: options.wasmSha256,
        pluginConfig: pluginConfig(point.states, options.report),
      }),
    ),
    ...routes.flatMap((route) => arrivalExtension(route, options, extension)),
    ...points.flatMap((point) => envoyFilter(point, since30) ?? []),
    ...routes.map(virtualService),
  ];
  return { manifests, problems: [] };
}

/** The filter at the shadow variant's own pods, where the route asks for it. */
function arrivalExtension(
  route: InferenceRoute,
  options: RenderOptions,
  extension: typeof trafficExtension,
): Manifest[] {
  const point = arrivalPoint(route);
  const config = arrivalConfig(route, options.report);
  if (point === undefined || config === undefined) return [];
  const code = {
    wasmUrl: besideWeir(options.wasmUrl ?? defaultWasmUrl, "weir-full"),
    pluginConfig: toJson(FilterConfigSchema, config) as JsonObject,
  };
  return [extension(point, code)];
}

function pluginConfig(states: RouteState[], report: ReportTarget | undefined): JsonObject {
  return toJson(FilterConfigSchema, filterConfig(states, report)) as JsonObject;
}

/** By namespace and name, whatever order the routes came in. */
function inOrder(states: RouteState[]): RouteState[] {
  const id = ({ route }: RouteState) => routeName(route as InferenceRoute);
  return states.filter(({ route }) => route !== undefined).sort((a, b) => (id(a) < id(b) ? -1 : 1));
}

function checkOptions({ istioVersion, wasmUrl, wasmSha256 }: RenderOptions): RouteProblem[] {
  const found: RouteProblem[] = [];
  const version = parseIstioVersion(istioVersion ?? defaultIstioVersion);
  if (typeof version === "string") {
    found.push({ route: "", code: "istio-version", path: "istioVersion", message: version });
  }
  if (wasmUrl !== undefined && !/^(?:file:\/\/\/|https?:\/\/[^/]|oci:\/\/[^/])\S*$/.test(wasmUrl)) {
    const message = `wasm url "${wasmUrl}" must start with file:///, http://, https:// or oci://`;
    found.push({ route: "", code: "wasm-url", path: "wasmUrl", message });
  }
  if (wasmSha256 !== undefined && !/^[0-9a-f]{64}$/.test(wasmSha256)) {
    const message = `wasm sha256 "${wasmSha256}" must be 64 lower-case hex digits`;
    found.push({ route: "", code: "wasm-sha256", path: "wasmSha256", message });
  }
  return found;
}
