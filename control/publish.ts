import type { createFilterCode } from "./filter-code.ts";
import type { RouteState } from "./gen/weir/v1/service_pb.ts";
import { hasEnded } from "./rollout/index.ts";
import {
  copyConfig,
  countsTokens,
  type FilterModule,
  filterConfig,
  filterConfigText,
  headerModule,
  routeName,
  sameButWeights,
} from "./route/index.ts";
import { StaleEtagError, type Store } from "./store/index.ts";
import {
  buildResources,
  createSnapshot,
  createStagedPush,
  type Fleet,
  type Refusal,
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
/** A first proxy that says nothing for this long is passed over. */
const silentMs = 5_000;

/** What the proxies of one scope are sent. */
export interface Published {
  snapshot: Snapshot;
  revision: string;
  etags: ReadonlyMap<string, string>;
  /** The proxy that was sent it first and refused: the others are not sent it. */
  refused(): Refusal | undefined;
}

export interface PublisherOptions {
  store: Store;
  fleet: Fleet;
  xds: XdsServer;
  /** Where the filters report to, once that is known. */
  report(): ResourceOptions["report"];
  /** How reports of a scope prove what they are. */
  reportAccess?(scope: readonly string[]): NonNullable<ResourceOptions["reportAccess"]>;
  gateway: ResourceOptions["gateway"];
  /** Where the proxies get a module from. */
  code: ReturnType<typeof createFilterCode>;
  /** Told of the routes before they are sent. */
  onRoutes?(routes: readonly RouteState[]): void;
  log(line: string, code?: string): void;
}

/** Keeps the proxies' snapshots like the store. */
export interface Publisher {
  /** Reads the store and sends what changed, to one proxy first. */
  publish(): Promise<void>;
  /** What is sent to proxies with these namespaces; undefined before the first publication. */
  published(scope: readonly string[]): Published | undefined;
  /** Publishes after each event until they end. */
  follow(events: AsyncIterable<unknown>): Promise<void>;
  close(): void;
}

/** What the store held at one moment, and what each scope is sent of it. */
interface Edition {
  routes: readonly RouteState[];
  /** Made when first asked for; the namespaces as key. */
  made: Map<string, Published>;
  /** Whether clusters are in it that have to go. */
  gentle: boolean;
  of(scope: readonly string[]): Published;
  snapshotOf(scope: readonly string[]): Snapshot;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { store, xds, fleet, log } = options;
  let newest: Edition | undefined;
  /** The edition that went to all proxies last. */
  let everywhere: Edition | undefined;
  let removal: NodeJS.Timeout | undefined;
  const staged = createStagedPush(xds, fleet, {
    silentMs,
    onSilence: (node) =>
      log(
        `${node} did not answer within ${silentMs / 1000} s: another proxy is first`,
        "proxy-silent",
      ),
    onRefusal(refusal) {
      log(
        `stopped after ${refusal.node} refused ${refusal.type}: ${refusal.message}`,
        "push-stopped",
      );
      takeBack(refusal).catch((error: unknown) =>
        log(`could not take it back: ${error}`, "take-back-failed"),
      );
    },
  });

  function build(routes: readonly RouteState[], scope: readonly string[]): Published {
    const visible = routes.filter((state) => isIn(scope, state));
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
      report,
      weir: filter(headerModule(visible)),
      fallback: options.code("weir"),
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
    const etags = visible.flatMap(({ route, etag }) =>
      route ? [[routeName(route), etag] as const] : [],
    );
    return {
      snapshot: createSnapshot(resources),
      revision: config.revision,
      etags: new Map(etags),
      refused: staged.refused,
    };
  }

  /** @param before whose clusters stay in it for now; undefined: they go */
  function edition(routes: readonly RouteState[], before: Edition | undefined): Edition {
    const made = new Map<string, Published>();
    const edition: Edition = {
      routes,
      made,
      gentle: false,
      of(scope) {
        const key = scope.join(",");
        let found = made.get(key);
        if (found === undefined) {
          found = build(routes, scope);
          const known = before?.made.get(key);
          const kept = known && withoutRemovals(known.snapshot, found.snapshot);
          if (kept) {
            found = { ...found, snapshot: kept };
            edition.gentle = true;
          }
          made.set(key, found);
        }
        return found;
      },
      snapshotOf: (scope) => edition.of(scope).snapshot,
    };
    return edition;
  }

  /** Makes all of it before anything is sent: what cannot be made leaves the proxies as they are. */
  function send(next: Edition, before: Edition | undefined, urgent: boolean): void {
    const keys = before && before.made.size > 0 ? [...before.made.keys()] : ["*"];
    for (const key of keys) next.of(key.split(","));
    note();
    newest = next;
    staged.push(next.snapshotOf, urgent);
    note();
  }

  function note(): void {
    if (newest && xds.current() === newest.snapshotOf) everywhere = newest;
  }
  const stopListening = fleet.onChange(note);

  /** Takes back shifts that the first proxy refused; what else was changed waits for its author. */
  async function takeBack({ node, type, message }: Refusal): Promise<void> {
    const pushed = byName(newest?.routes ?? []);
    for (const [name, before] of byName(everywhere?.routes ?? [])) {
      const after = pushed.get(name);
      if (after === undefined || after.etag === before.etag) continue;
      if (!sameButWeights(before.route, after.route)) continue;
      const rollout = await store.getRollout(name);
      if (rollout && !hasEnded(rollout)) continue;
      const draft = { buckets: before.buckets, ...(before.route ? { route: before.route } : {}) };
      const reason = `${node} refused ${type}: ${message}`;
      try {
        await store.put(name, draft, after.etag, "take-back", { principal: "weir", reason });
      } catch (error) {
        // Someone else changed it meanwhile: theirs is pushed next.
        if (!(error instanceof StaleEtagError)) throw error;
      }
    }
  }

  async function publish(): Promise<void> {
    const { routes } = await store.list();
    options.onRoutes?.(routes);
    // What leads back ran everywhere before: it waits for no one.
    const urgent = (await store.listRollouts()).some(({ phase }) => phase === "rolling-back");
    clearTimeout(removal);
    note();
    const before = everywhere;
    const next = edition(routes, before);
    send(next, before, urgent);
    if (!next.gentle) return;
    removal = setTimeout(() => {
      if (staged.refused() === undefined) send(edition(routes, undefined), next, urgent);
    }, removalMs);
  }

  return {
    publish,
    published: (scope) => newest?.of(scope),
    async follow(events) {
      let timer: NodeJS.Timeout | undefined;
      for await (const _ of events) {
        clearTimeout(timer);
        timer = setTimeout(() => {
          publish().catch((error: unknown) =>
            log(
              `could not publish: ${error instanceof Error ? error.message : error}`,
              "publish-failed",
            ),
          );
        }, debounceMs);
      }
      clearTimeout(timer);
    },
    close() {
      clearTimeout(removal);
      stopListening();
      staged.close();
    },
  };
}

function byName(routes: readonly RouteState[]): Map<string, RouteState> {
  return new Map(
    routes.flatMap((state) => (state.route ? [[routeName(state.route), state] as const] : [])),
  );
}

function isIn(scope: readonly string[], { route }: RouteState): boolean {
  if (scope.includes("*")) return true;
  return route !== undefined && scope.includes(routeName(route).split("/", 1)[0] ?? "");
}
