import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Proxy, ProxyResourceSchema, ProxySchema } from "../gen/weir/v1/service_pb.ts";
import { resourceTypes, type TypeName } from "./types.ts";

/** Who a proxy says it is, in the first request of its stream. */
export interface NodeInfo {
  id: string;
  cluster: string;
  version: string;
  /** Namespaces whose routes it gets; ["*"] means all. */
  scope: readonly string[];
}

interface TypeState {
  sent: string;
  acked: string;
  /** Every version this proxy refused, and why: Envoy acknowledges a refused extension when it comes again. */
  refused: Map<string, string>;
  nackedVersion: string;
  nackMessage: string;
}

interface ProxyState {
  node: NodeInfo;
  streams: number;
  since: Date;
  types: Map<TypeName, TypeState>;
  reportedRevision: string;
  reportedAt?: Date;
}

/** Unasked: the proxy wants nothing of the type. */
export interface Answer {
  state: "runs" | "refused" | "waiting" | "unasked";
  /** The proxy's own words where it refused. */
  message: string;
}

/** What is known of every proxy that has been seen. */
export interface Fleet {
  /** A stream of the proxy opened; call the result when it closes. */
  connected(node: NodeInfo): () => void;
  sent(node: string, type: TypeName, version: string): void;
  acked(node: string, type: TypeName, version: string): void;
  nacked(node: string, type: TypeName, version: string, message: string): void;
  /** The filters of the proxy say which revision they run; also of one that Istio configures, and no stream. */
  reported(node: string, revision: string): void;
  /** Milliseconds since any proxy's filters reported; endless before the first report. */
  silentMs(): number;
  /** Namespaces whose routes a proxy gets; none for one that is not known. */
  scope(node: string): readonly string[];
  /** Whether the proxy runs exactly this version of the type. */
  runs(node: string, type: TypeName, version: string): boolean;
  /** What the proxy says to a version of a type. */
  answer(node: string, type: TypeName, version: string): Answer;
  isConnected(node: string): boolean;
  /** Ids of the connected proxies, in the order they came. */
  connectedNodes(): string[];
  /** What the proxy said no to, if that is what it was sent last. */
  refusal(node: string): { type: TypeName; message: string } | undefined;
  /** Revision that the proxy's filters reported; empty where none was. */
  reportedRevision(node: string): string;
  /** The proxies that Istio configures: nothing is known of them but what their filters report. */
  reporters(): { node: string; revision: string; silentMs: number }[];
  /** The first connected proxy, in the order they came, that a condition holds for. */
  first(condition: (node: string) => boolean): string | undefined;
  list(): Proxy[];
  /** Calls back, at most once per turn of the event loop, after something changed. */
  onChange(listener: () => void): () => void;
}

/** Proxies that are gone are forgotten beyond this number, the ones gone longest first. */
const mostRemembered = 20_000;
/** Filters report about once a second. */
const silentGoneMs = 60_000;

export function createFleet(now: () => Date = () => new Date()): Fleet {
  const proxies = new Map<string, ProxyState>();
  const listeners = new Set<() => void>();
  let scheduled = false;
  // By a clock that never jumps, as it is only ever compared with itself.
  let heardAt: number | undefined;

  function changed(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      for (const listener of listeners) listener();
    });
  }

  function typeState(node: string, type: TypeName): TypeState | undefined {
    const proxy = proxies.get(node);
    if (proxy === undefined) return undefined;
    let state = proxy.types.get(type);
    if (state === undefined) {
      state = { sent: "", acked: "", refused: new Map(), nackedVersion: "", nackMessage: "" };
      proxy.types.set(type, state);
    }
    return state;
  }

  const isReporter = ({ streams, types }: ProxyState) => streams === 0 && types.size === 0;

  /** A proxy that only reports is there as long as it does. */
  function isGone(state: ProxyState): boolean {
    return isReporter(state) && now().getTime() - (state.reportedAt?.getTime() ?? 0) > silentGoneMs;
  }

  function dropGone(): void {
    for (const [node, state] of proxies) if (isGone(state)) proxies.delete(node);
  }

  function forget(): void {
    if (proxies.size < mostRemembered) return;
    for (const [id, { streams }] of proxies) {
      if (streams > 0) continue;
      proxies.delete(id);
      return;
    }
  }

  return {
    connected(node) {
      forget();
      const known = proxies.get(node.id);
      const proxy = known ?? {
        node,
        streams: 0,
        since: now(),
        types: new Map(),
        reportedRevision: "",
      };
      proxy.node = node;
      if (proxy.streams === 0) {
        proxy.since = now();
        // A new stream may be a new process: what the old one acknowledged proves nothing.
        for (const state of proxy.types.values()) Object.assign(state, { sent: "", acked: "" });
      }
      proxy.streams++;
      proxies.delete(node.id);
      proxies.set(node.id, proxy);
      changed();
      return () => {
        proxy.streams--;
        changed();
      };
    },
    sent(node, type, version) {
      const state = typeState(node, type);
      if (state === undefined) return;
      state.sent = version;
      changed();
    },
    acked(node, type, version) {
      const state = typeState(node, type);
      if (state === undefined || state.refused.has(version)) return;
      state.acked = version;
      state.nackedVersion = "";
      state.nackMessage = "";
      changed();
    },
    nacked(node, type, version, message) {
      const state = typeState(node, type);
      if (state === undefined) return;
      state.refused.set(version, message);
      state.nackedVersion = version;
      state.nackMessage = message;
      changed();
    },
    silentMs: () =>
      heardAt === undefined ? Number.POSITIVE_INFINITY : performance.now() - heardAt,
    reported(node, revision) {
      heardAt = performance.now();
      let proxy = proxies.get(node);
      if (proxy === undefined) {
        forget();
        const named = { id: node, cluster: "", version: "", scope: [] };
        proxy = { node: named, streams: 0, since: now(), types: new Map(), reportedRevision: "" };
        proxies.set(node, proxy);
      }
      proxy.reportedAt = now();
      if (proxy.reportedRevision === revision) return;
      proxy.reportedRevision = revision;
      changed();
    },
    scope: (node) => proxies.get(node)?.node.scope ?? [],
    runs(node, type, version) {
      const proxy = proxies.get(node);
      return proxy !== undefined && proxy.streams > 0 && proxy.types.get(type)?.acked === version;
    },
    answer(node, type, version) {
      const state = proxies.get(node)?.types.get(type);
      if (state === undefined) return { state: "unasked", message: "" };
      const message = state.refused.get(version);
      if (message !== undefined) return { state: "refused", message };
      return { state: state.acked === version ? "runs" : "waiting", message: "" };
    },
    isConnected: (node) => (proxies.get(node)?.streams ?? 0) > 0,
    connectedNodes: () =>
      [...proxies].flatMap(([node, { streams }]) => (streams > 0 ? [node] : [])),
    refusal(node) {
      for (const [type, { nackMessage, nackedVersion, sent }] of proxies.get(node)?.types ?? [])
        if (nackMessage !== "" && nackedVersion === sent) return { type, message: nackMessage };
      return undefined;
    },
    reportedRevision: (node) => proxies.get(node)?.reportedRevision ?? "",
    reporters() {
      dropGone();
      const nowMs = now().getTime();
      return [...proxies].flatMap(([node, state]) =>
        isReporter(state)
          ? [
              {
                node,
                revision: state.reportedRevision,
                silentMs: nowMs - (state.reportedAt?.getTime() ?? 0),
              },
            ]
          : [],
      );
    },
    first(condition) {
      for (const [node, { streams }] of proxies) if (streams > 0 && condition(node)) return node;
      return undefined;
    },
    list() {
      dropGone();
      return [...proxies.values()].map(toProxy).sort((a, b) => (a.node < b.node ? -1 : 1));
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function toProxy(state: ProxyState): Proxy {
  const resources = resourceTypes.flatMap(({ name }) => {
    const type = state.types.get(name);
    if (type === undefined) return [];
    return create(ProxyResourceSchema, {
      type: name,
      sentVersion: type.sent,
      ackedVersion: type.acked,
      nackedVersion: type.nackedVersion,
      nackMessage: type.nackMessage,
    });
  });
  return create(ProxySchema, {
    node: state.node.id,
    cluster: state.node.cluster,
    version: state.node.version,
    connected: state.streams > 0,
    since: timestampFromDate(state.since),
    resources,
    reportedRevision: state.reportedRevision,
    ...(state.reportedAt ? { reportedAt: timestampFromDate(state.reportedAt) } : {}),
    inSync: state.streams > 0 && resources.every((each) => each.sentVersion === each.ackedVersion),
  });
}
