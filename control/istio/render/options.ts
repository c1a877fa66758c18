import { checkReportTo, type ReportTo } from "../objects/report.ts";
import type { RouteProblem } from "../problem.ts";
import { defaultIstioVersion, parseIstioVersion } from "../version.ts";

/**
 * Where the proxies find the filters when nothing else is said: a file that
 * the proxies' image or a mounted volume brings along. There is no registry
 * that every cluster can reach, so none is assumed.
 */
export const defaultWasmUrl = "file:///etc/weir/weir.wasm";

/** The API of the manifests: Istio's own, or the Gateway API. */
export type RenderTarget = "istio" | "gateway-api";

/** What manifests are for, and where the proxies find the filters. */
export interface RenderOptions {
  /** Who routes: Istio's VirtualServices, or HTTPRoutes of the Gateway API. Absent: "istio". */
  target?: RenderTarget | undefined;
  /** CRDs of the Gateway API in the cluster; "experimental" has retries. Absent: "standard". */
  gatewayApiChannel?: "standard" | "experimental" | undefined;
  /** Istio the manifests are for, "1.30" or "1.30.3"; 1.28 at least. Absent: 1.30. */
  istioVersion?: string | undefined;
  /**
   * file, http, https or oci URL of weir.wasm. Absent: {@link defaultWasmUrl}. Where it ends in
   * "/weir.wasm" and routes need weir-full.wasm, that is taken from beside it.
   */
  wasmUrl?: string | undefined;
  /** SHA-256 of what wasmUrl names, 64 hex digits. Absent: the code is not checked. */
  wasmSha256?: string | undefined;
  /** URL of token-limit.wasm, for routes that count tokens. Absent: beside weir.wasm. */
  tokenLimitWasmUrl?: string | undefined;
  /** URL of route-select.wasm, for routes that share hosts. Absent: beside weir.wasm. */
  routeSelectWasmUrl?: string | undefined;
  /** Where the filters report to. Absent: nowhere. */
  report?: ReportTo | undefined;
  /**
   * The routes are all that there are, so that no one else renders one for the same proxies.
   * Absent: a gateway may have other instances of the filters, and so may the proxies of a lone route.
   */
  isComplete?: boolean | undefined;
}

/** What is wrong with the options themselves. */
export function checkOptions({
  istioVersion,
  wasmUrl,
  tokenLimitWasmUrl,
  routeSelectWasmUrl,
  wasmSha256,
  report,
}: RenderOptions): RouteProblem[] {
  const found: RouteProblem[] = [];
  const version = parseIstioVersion(istioVersion ?? defaultIstioVersion);
  if (typeof version === "string") {
    found.push({ route: "", code: "istio-version", path: "istioVersion", message: version });
  }
  for (const [path, what, url] of [
    ["wasmUrl", "wasm url", wasmUrl],
    ["tokenLimitWasmUrl", "token limit wasm url", tokenLimitWasmUrl],
    ["routeSelectWasmUrl", "route select wasm url", routeSelectWasmUrl],
  ] as const) {
    if (url === undefined || /^(?:file:\/\/\/|https?:\/\/[^/]|oci:\/\/[^/])\S*$/.test(url))
      continue;
    const message = `${what} "${url}" must start with file:///, http://, https:// or oci://`;
    found.push({ route: "", code: "wasm-url", path, message });
  }
  if (wasmSha256 !== undefined && !/^[0-9a-f]{64}$/.test(wasmSha256)) {
    const message = `wasm sha256 "${wasmSha256}" must be 64 lower-case hex digits`;
    found.push({ route: "", code: "wasm-sha256", path: "wasmSha256", message });
  }
  const problem = report && checkReportTo(report);
  if (problem !== undefined)
    found.push({ route: "", code: "report-to", path: "reportTo", message: problem });
  return found;
}
