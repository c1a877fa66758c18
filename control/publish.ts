import { clone, equals } from "@bufbuild/protobuf";
import type { ApiContext } from "./api/index.ts";
import { InferenceRouteSchema } from "./gen/weir/v1/route_pb.ts";
import type { RouteState } from "./gen/weir/v1/service_pb.ts";
import { hasEnded } from "./rollout/index.ts";
import { filterConfig, filterConfigText, routeName } from "./route/index.ts";
import { StaleEtagError, type Store } from "./store/index.ts";
import {
  type Address,
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

/** Clusters that are gone stay this long with proxies that may still name them. */
const removalMs = 2_000;
/** A first proxy that says nothing for this long is passed over. */
const silentMs = 5_000;

export interface PublisherOptions {
  store: Store;
  fleet: Fleet;
  xds: XdsServer;
  gateway: Address;
  wasm: ResourceOptions["wasm"];
  log(line: string): void;
}

/** Turns what is stored into what the proxies are sent. */
export interface Publisher {
  /** @param report where the filters report to */
  publish(report: Address): Promise<void>;
  published: ApiContext["published"];
  close(): void;
}

export function createPublisher({
  store,
  fleet,
  xds,
  gateway,
  wasm,
  log,
}: PublisherOptions): Publisher {
  let published: ReturnType<ApiContext["published"]>;
  let removal: NodeJS.Timeout | undefined;
  /** The routes as all proxies got them last, by name. */
  let proven = new Map<string, RouteState>();
  let pushing = new Map<string, RouteState>();
  const staged = createStagedPush(xds, fleet, {
    silentMs,
    onSilence: (node) =>
      log(`${node} did not answer within ${silentMs / 1000} s: another proxy is first`),
    onRefusal(refusal) {
      log(`stopped after ${refusal.node} refused ${refusal.type}: ${refusal.message}`);
      takeBack(refusal).catch((error: unknown) => log(`could not take it back: ${error}`));
    },
  });

  /** Takes back shifts that the first proxy refused; what else was changed waits for its author. */
  async function takeBack({ node, type, message }: Refusal): Promise<void> {
    const reason = `${node} refused ${type}: ${message}`;
    for (const [name, before] of proven) {
      const after = pushing.get(name);
      if (after === undefined || after.etag === before.etag || !isShift(before, after)) continue;
      const rollout = await store.getRollout(name);
      if (rollout && !hasEnded(rollout)) continue;
      const { buckets } = before;
      const draft = { ...(before.route ? { route: before.route } : {}), buckets };
      try {
        await store.put(name, draft, after.etag, "take-back", { principal: "weir", reason });
      } catch (error) {
        // Someone else changed it meanwhile: theirs is pushed next.
        if (!(error instanceof StaleEtagError)) throw error;
      }
    }
  }

  function push(snapshot: Snapshot, revision: string, urgent: boolean): void {
    const etags = new Map([...pushing].map(([name, { etag }]) => [name, etag]));
    published = { snapshot, revision, etags, refused: staged.refused };
    staged.push(snapshot, urgent);
  }

  const stopListening = fleet.onChange(() => {
    if (xds.current() === published?.snapshot) proven = pushing;
  });

  return {
    published: () => published,
    async publish(report) {
      const { routes } = await store.list();
      const config = filterConfig(routes, {
        cluster: reportClusterName,
        authority: `${report.host}:${report.port}`,
        intervalMs: 1000,
      });
      const snapshot = createSnapshot(
        buildResources(routes, { gateway, wasm, report, filterConfig: filterConfigText(config) }),
      );
      // What leads back ran everywhere before: it waits for no one.
      const urgent = (await store.listRollouts()).some(({ phase }) => phase === "rolling-back");
      clearTimeout(removal);
      if (xds.current() === published?.snapshot) proven = pushing;
      pushing = new Map(
        routes.flatMap((state) => (state.route ? [[routeName(state.route), state]] : [])),
      );
      const gentle = withoutRemovals(xds.current(), snapshot);
      push(gentle ?? snapshot, config.revision, urgent);
      if (gentle === undefined) return;
      removal = setTimeout(() => {
        if (staged.refused() === undefined) push(snapshot, config.revision, urgent);
      }, removalMs);
    },
    close() {
      clearTimeout(removal);
      stopListening();
      staged.close();
    },
  };
}

/** Whether two states of a route differ in nothing but weights. */
function isShift(before: RouteState, after: RouteState): boolean {
  if (before.route === undefined || after.route === undefined) return false;
  const other = clone(InferenceRouteSchema, after.route);
  other.spec?.variants.forEach((variant, i) => {
    variant.weight = before.route?.spec?.variants[i]?.weight ?? Number.NaN;
  });
  return equals(InferenceRouteSchema, before.route, other);
}
