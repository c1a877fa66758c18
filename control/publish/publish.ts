import type { RouteState } from "../gen/weir/v1/service_pb.ts";
import { hasEnded } from "../rollout/index.ts";
import { routeName } from "../route/index.ts";
import type { Store } from "../store/index.ts";
import { errorText } from "../text/error-text.ts";
import {
  type Fleet,
  type Refusal,
  registeredResources,
  resourceTypes,
  type Snapshot,
  withEndpoints,
  withoutRemovals,
  type XdsServer,
} from "../xds/index.ts";
import { type BuilderOptions, createBuilder } from "./build.ts";
import { type Edition, heldBy, type Routes } from "./edition.ts";
import { createLane, type Lane, type Refused, type Standing } from "./lane.ts";
import { createStagedPush, type Push } from "./staged.ts";
import { takeBack } from "./take-back.ts";

/** Changes that come within this time are sent together. */
const debounceMs = 5;
/** Clusters that are gone stay this long with proxies that may still name them. */
const usualRemovalMs = 2_000;
/** A first proxy that does not answer for this long is skipped. */
const usualSilentMs = 5_000;

/** What the proxies of one scope are sent. */
export interface Published {
  snapshot: Snapshot;
  revision: string;
  etags: ReadonlyMap<string, string>;
  /** Routes whose newest state is kept from all of them, by the proxy that was sent it first and refused. */
  held: ReadonlyMap<string, Refused>;
}

export interface PublisherOptions extends BuilderOptions {
  store: Store;
  fleet: Fleet;
  xds: XdsServer;
  /** Told of the routes before they are sent. */
  onRoutes?(routes: readonly RouteState[]): void;
  removalMs?: number;
  silentMs?: number;
  /**
   * Whether everyone who may read the audit of a route may see all of these namespaces;
   * absent: they may. Words of a proxy that serves them are kept there only then.
   */
  mayQuote?(scope: readonly string[], route: string): boolean;
  /** Told of what the store has, before it is sent. */
  onStored?(list: Awaited<ReturnType<Store["list"]>>): void;
  log(line: string, code?: string): void;
}

/** Keeps the proxies' snapshots like the store. */
export interface Publisher {
  /** Reads the store and sends what changed, in each scope to one proxy first. */
  publish(): Promise<void>;
  /** Sends the pods that registered themselves as they are now, without a try: no document has changed. */
  refresh(): void;
  /** What is sent to proxies with these namespaces; undefined before anything was. */
  published(scope: readonly string[]): Published | undefined;
  /** Publishes after each event until they end. */
  follow(events: AsyncIterable<unknown>): Promise<void>;
  close(): void;
}

/** What the store held at one moment. */
interface Stored {
  routes: Routes;
  standing(name: string): Standing;
}

/** What is known of one scope beside what it is sent. */
interface Scope {
  lane: Lane;
  /** Until the clusters go that nothing names any more. */
  removal?: NodeJS.Timeout;
}

/** Scopes without a proxy beyond this number are forgotten, the ones that came first first. */
const maxIdleScopes = 100;

/** Follows the store and sends proxies what it has, to one proxy of each scope first, until it is closed. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { store, xds, fleet, log } = options;
  const { removalMs = usualRemovalMs, silentMs = usualSilentMs } = options;
  const { mayQuote = () => true, registered = () => [] } = options;
  const build = createBuilder(options);
  const scopes = new Map<string, Scope>();
  let newest: Stored | undefined;
  const staged = createStagedPush<Edition>(xds, fleet, {
    silentMs,
    initial(scope) {
      // From now on it is sent what changes.
      scopeOf(scope);
      return editionOf(visibleIn(scope), scope, undefined);
    },
    renew: (scope, { routes }, settled) => editionOf(routes, scope, settled),
    onSettled,
    onRefusal,
    onSilence: (node) =>
      log(
        `${node} did not answer the change within ${silentMs / 1000} s: trying it on another proxy first`,
        "proxy-silent",
      ),
  });

  function onSettled(scope: readonly string[], edition: Edition, before?: Edition): void {
    const of = scopeOf(scope);
    clearTimeout(of.removal);
    of.lane.settled(edition.routes, before?.routes);
    if (edition.gentle) of.removal = setTimeout(() => remove(scope, edition), removalMs);
  }

  /** Takes away what was kept only until no proxy named it; a newer edition sees to that itself. */
  function remove(scope: readonly string[], edition: Edition): void {
    // Pods come and go in the meantime; routes that do bring a newer edition.
    if (staged.newest(scope)?.routes !== edition.routes) return;
    staged.push([{ scope, edition: editionOf(edition.routes, scope, undefined), tried: true }]);
  }

  function onRefusal(scope: readonly string[], refusal: Refusal, refused: Edition): void {
    const { node, type, message } = refusal;
    log(
      `stopped sending a change to the other proxies: ${node} refused ${type}: ${message}`,
      "push-stopped",
    );
    const before = staged.settled(scope)?.routes ?? new Map();
    const held = heldBy(
      refusal,
      before,
      refused.routes,
      (routes, type) => build(routes, scope).snapshot[type].version,
    );
    const { lane } = scopeOf(scope);
    const knew = lane.refusals();
    lane.hold(held);
    takeBack(store, held, refused.routes, (name) => mayQuote(scope, name)).catch((error: unknown) =>
      log(
        `could not revert the weights of ${[...held.keys()].join(", ")} after ${node} refused ${type}: ${errorText(error)}`,
        "take-back-failed",
      ),
    );
    // What else is new is tried without it; the same again would be refused again. Each refusal
    // that is followed by a try holds one state more: there are no more of them than changes.
    const others = newest ? pushesTo(scope, newest) : [];
    const holdsMore = [...held].some(
      ([name, { etag }]) =>
        knew.get(name)?.etag !== etag && lane.refusals().get(name)?.etag === etag,
    );
    staged.push(
      others.filter(
        ({ edition, tried }) =>
          !isSame(edition.snapshot, refused.snapshot) && (holdsMore || !tried),
      ),
    );
  }

  function scopeOf(scope: readonly string[]): Scope {
    const key = scope.join();
    const of = scopes.get(key) ?? { lane: createLane() };
    scopes.set(key, of);
    return of;
  }

  function visibleIn(scope: readonly string[]): Routes {
    if (scope.includes("*")) return newest?.routes ?? new Map();
    const namespaceOf = (name: string) => name.split("/", 1)[0] ?? "";
    return new Map(
      [...(newest?.routes ?? [])].filter(([name]) => scope.includes(namespaceOf(name))),
    );
  }

  /** @param before whose clusters stay in it for now; undefined: they go */
  function editionOf(
    routes: Routes,
    scope: readonly string[],
    before: Edition | undefined,
  ): Edition {
    const { snapshot, revision } = build(routes, scope);
    const kept = before && withoutRemovals(before.snapshot, snapshot);
    const etags = new Map([...routes].map(([name, { etag }]) => [name, etag]));
    return { routes, snapshot: kept ?? snapshot, revision, etags, gentle: kept !== undefined };
  }

  /** The pushes that lead a scope to what is stored, as far as that is not held. */
  function pushesTo(scope: readonly string[], { standing }: Stored): Push<Edition>[] {
    const { lane } = scopeOf(scope);
    const stored = visibleIn(scope);
    const there = new Set(
      fleet.members().flatMap((each) => (each.scope.join() === scope.join() ? [each.node] : [])),
    );
    lane.release(stored, (node) => there.has(node));
    fleet.held(scope, [...lane.refusals().values()]);
    let before = staged.settled(scope);
    return lane.stepsTo(stored, before?.routes, standing).map(({ routes, tried }) => {
      before = editionOf(routes, scope, before);
      return { scope, edition: before, tried };
    });
  }

  /** Scopes come and go with credentials; those whose proxies left are known for a while. */
  function forgetIdle(): void {
    const used = new Set(fleet.members().map((each) => each.scope.join()));
    const idle = [...scopes.keys()].filter((key) => key !== "*" && !used.has(key));
    for (const key of idle.slice(0, Math.max(0, idle.length - maxIdleScopes))) {
      clearTimeout(scopes.get(key)?.removal);
      scopes.delete(key);
      staged.forget(key.split(","));
      fleet.held(key.split(","), []);
    }
  }

  async function publish(): Promise<void> {
    const list = await store.list();
    const { routes } = list;
    options.onStored?.(list);
    options.onRoutes?.(routes);
    const phases = new Map(
      (await store.listRollouts()).flatMap((state) =>
        hasEnded(state) ? [] : [[routeName(state.rollout), state.phase]],
      ),
    );
    newest = {
      routes: byName(routes),
      standing: (name) => ({
        returning: phases.get(name) === "rolling-back",
        walking: phases.has(name),
      }),
    };
    forgetIdle();
    const all = scopes.size > 0 ? [...scopes.keys()] : ["*"];
    // All of it is made before any of it is sent: what cannot be made leaves the proxies of its scope as they are.
    const stored = newest;
    const failures: unknown[] = [];
    const pushes = all.flatMap((key) => {
      try {
        return pushesTo(key.split(","), stored);
      } catch (error) {
        failures.push(error);
        return [];
      }
    });
    if (pushes.length > 0) staged.push(pushes);
    if (failures.length > 0) throw failures[0];
  }

  /** An edition with the pods that are registered now. */
  function withPods(edition: Edition): Edition {
    const pods = registeredResources([...edition.routes.values()], registered);
    const snapshot = withEndpoints(edition.snapshot, pods);
    return snapshot === edition.snapshot ? edition : { ...edition, snapshot };
  }

  return {
    publish,
    refresh() {
      if (newest) staged.refresh(withPods);
    },
    published(scope) {
      const edition = staged.newest(scope);
      return edition && { ...edition, held: scopeOf(scope).lane.refusals() };
    },
    async follow(events) {
      let timer: NodeJS.Timeout | undefined;
      for await (const _ of events) {
        clearTimeout(timer);
        timer = setTimeout(() => {
          publish().catch((error: unknown) =>
            log(
              `could not send the stored routes to the proxies: ${errorText(error)}`,
              "publish-failed",
            ),
          );
        }, debounceMs);
      }
      clearTimeout(timer);
    },
    close() {
      for (const { removal } of scopes.values()) clearTimeout(removal);
      staged.close();
    },
  };
}

function isSame(one: Snapshot, other: Snapshot): boolean {
  return resourceTypes.every(({ name }) => one[name].version === other[name].version);
}

function byName(routes: readonly RouteState[]): Map<string, RouteState> {
  return new Map(
    routes.flatMap((state) => (state.route ? [[routeName(state.route), state] as const] : [])),
  );
}
