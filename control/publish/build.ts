import {
  copyConfig,
  countsTokens,
  type FilterModule,
  filterConfig,
  filterConfigText,
  headerModule,
  selectedRoutes,
} from "../route/index.ts";
import {
  buildResources,
  createSnapshot,
  type FilterCode,
  type ResourceOptions,
  reportClusterName,
  type Snapshot,
} from "../xds/index.ts";
import type { Routes } from "./edition.ts";

/** What all snapshots have in common. */
export interface BuilderOptions {
  /** Where the filters report to, once that is known. */
  report(): ResourceOptions["report"];
  /** How reports of a scope prove what they are. */
  reportAccess?(scope: readonly string[]): NonNullable<ResourceOptions["reportAccess"]>;
  /** Pods that registered themselves; absent: none does. */
  registered?: ResourceOptions["registered"];
  gateway: ResourceOptions["gateway"];
  edge?: ResourceOptions["edge"];
  /** Where the proxies get a module from. */
  code: (module: FilterModule) => FilterCode["wasm"];
}

/** Routes as what the proxies of a scope are sent, and the revision that their filters report then. */
export type Build = (
  routes: Routes,
  scope: readonly string[],
) => { snapshot: Snapshot; revision: string };

/** @throws Error, from what it makes, for routes that cannot be sent */
export function createBuilder(options: BuilderOptions): Build {
  return (routes, scope) => {
    const visible = [...routes.values()];
    const report = options.report();
    const config = filterConfig(visible, {
      cluster: reportClusterName,
      authority: `${report.host}:${report.port}`,
      intervalMs: 1000,
    });
    const access = options.reportAccess?.(scope);
    const filter = (module: FilterModule) => ({
      wasm: options.code(module),
      config: filterConfigText(config, module),
    });
    const resources = buildResources(visible, {
      gateway: options.gateway,
      edge: options.edge,
      registered: options.registered,
      report,
      weir: filter(headerModule(visible)),
      fallback: options.code("weir"),
      ...(selectedRoutes(visible.flatMap(({ route }) => route ?? [])).size > 0
        ? { routeSelect: filter("route-select") }
        : {}),
      ...(visible.some(({ route }) => route?.spec && countsTokens(route.spec))
        ? { tokenLimit: filter("token-limit") }
        : {}),
      copies(route) {
        const config = copyConfig(route);
        return (
          config && {
            wasm: options.code("token-limit"),
            config: filterConfigText(config, "token-limit"),
          }
        );
      },
      ...(access ? { reportAccess: access } : {}),
    });
    return { snapshot: createSnapshot(resources), revision: config.revision };
  };
}
