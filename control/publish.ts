import type { RouteState } from "./gen/weir/v1/service_pb.ts";
import { filterConfig, filterConfigText, routeName } from "./route/index.ts";
import type { Store } from "./store/index.ts";
import {
  buildResources,
  createSnapshot,
  type ResourceOptions,
  reportClusterName,
  type Snapshot,
  withoutRemovals,
  type XdsServer,
} from "./xds/index.ts";

/** Changes that come within this time are sent together. */
const debounceMs = 5;
/** Clusters that are gone stay this long with proxies that may still name them. */
const removalMs = 2_000;

/** What the proxies of one scope are sent. */
export interface Published {
  snapshot: Snapshot;
  revision: string;
  etags: ReadonlyMap<string, string>;
}

export interface PublisherOptions {
  store: Store;
  xds: XdsServer;
  /** Where the filters report to, once that is known. */
  report(): ResourceOptions["report"];
  /** How reports of a scope prove what they are. */
  reportAccess?(scope: readonly string[]): NonNullable<ResourceOptions["reportAccess"]>;
  resources: Pick<ResourceOptions, "gateway" | "wasm" | "fullWasm">;
  /** Told of the routes before they are sent. */
  onRoutes?(routes: readonly RouteState[]): void;
  log(line: string): void;
}

/** Keeps the proxies' snapshots like the store. */
export interface Publisher {
  /** Reads the store and sends what changed. */
  publish(): Promise<void>;
  /** What is sent to proxies with these namespaces; undefined before the first publication. */
  published(scope: readonly string[]): Published | undefined;
  /** Publishes after each event until they end. */
  follow(events: AsyncIterable<unknown>): Promise<void>;
  close(): void;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { store, xds } = options;
  /** What each scope is sent, by its namespaces. */
  let sent = new Map<string, Published>();
  let routes: readonly RouteState[] | undefined;
  let removal: NodeJS.Timeout | undefined;

  function build(scope: readonly string[]): Published {
    const visible = (routes ?? []).filter((state) => isIn(scope, state));
    const report = options.report();
    const config = filterConfig(visible, {
      cluster: reportClusterName,
      authority: `${report.host}:${report.port}`,
      intervalMs: 1000,
    });
    const access = options.reportAccess?.(scope);
    const resources = buildResources(visible, {
      ...options.resources,
      report,
      ...(access ? { reportAccess: access } : {}),
      filterConfig: filterConfigText(config),
    });
    const etags = visible.flatMap(({ route, etag }) =>
      route ? [[routeName(route), etag] as const] : [],
    );
    return {
      snapshot: createSnapshot(resources),
      revision: config.revision,
      etags: new Map(etags),
    };
  }

  function published(scope: readonly string[]): Published | undefined {
    if (routes === undefined) return undefined;
    const known = sent.get(keyOf(scope)) ?? build(scope);
    sent.set(keyOf(scope), known);
    return known;
  }

  /** Makes all of it before anything is sent: what cannot be made leaves the proxies as they are. */
  function send(removes: boolean): void {
    clearTimeout(removal);
    let gentle = false;
    const next = new Map<string, Published>();
    for (const [key, before] of sent) {
      const made = build(scopeIn(key));
      const kept = removes ? undefined : withoutRemovals(before.snapshot, made.snapshot);
      gentle ||= kept !== undefined;
      next.set(key, kept ? { ...made, snapshot: kept } : made);
    }
    if (next.size === 0) next.set("*", build(["*"]));
    sent = next;
    xds.publish((scope) => (published(scope) as Published).snapshot);
    if (gentle) removal = setTimeout(() => send(true), removalMs);
  }

  async function publish(): Promise<void> {
    ({ routes } = await store.list());
    options.onRoutes?.(routes);
    send(false);
  }

  return {
    publish,
    published,
    async follow(events) {
      let timer: NodeJS.Timeout | undefined;
      for await (const _ of events) {
        clearTimeout(timer);
        timer = setTimeout(() => {
          publish().catch((error: unknown) =>
            options.log(`could not publish: ${error instanceof Error ? error.message : error}`),
          );
        }, debounceMs);
      }
      clearTimeout(timer);
    },
    close: () => clearTimeout(removal),
  };
}

const keyOf = (scope: readonly string[]) => scope.join(",");
const scopeIn = (key: string) => key.split(",");

function isIn(scope: readonly string[], { route }: RouteState): boolean {
  if (scope.includes("*")) return true;
  return route !== undefined && scope.includes(routeName(route).split("/", 1)[0] ?? "");
}
