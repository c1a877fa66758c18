import type { Proxy } from "../gen/weir/v1/service_pb.ts";
import { type Held, type NodeInfo, type Refusal, toProxy } from "./shown.ts";
import { resourceTypes, type TypeName } from "./types.ts";
import {
  type Answer,
  answerOf,
  createStreamAnswers,
  type Nack,
  type Refused,
  type StreamAnswers,
  worstOf,
} from "./verdicts.ts";

/** One stream of a proxy; each of them tells for itself. */
export interface ProxyStream {
  sent(type: TypeName, version: string): void;
  acked(type: TypeName, version: string): void;
  nacked(type: TypeName, version: string, message: string): void;
  closed(): void;
}

/** A proxy: a node id with the namespaces whose routes it gets, and all its streams together. */
export interface Member {
  readonly node: string;
  readonly scope: readonly string[];
  isConnected(): boolean;
  /** What it says to a version of a type; "runs" only where every stream that asks for the type does. */
  answer(type: TypeName, version: string): Answer;
  /** What it says no to now. */
  refusal(): (Nack & { type: TypeName }) | undefined;
  /** Number of answers so far; it does not grow while the proxy is silent. */
  answers(): number;
  /** How many of them were refusals. */
  refusals(): number;
  /** Revision that its filters reported; empty where none was. */
  reportedRevision(): string;
}

interface ProxyState extends Member {
  info: NodeInfo;
  streams: Set<StreamAnswers>;
  /** Of the stream that closed last; there is none before the first. */
  last: StreamAnswers | undefined;
  /** What its process refused on streams that have closed. */
  refused: Refused;
  answered: number;
  nacks: number;
  since: Date;
  revision: string;
  reportedAt?: Date;
}

/** What is known of every proxy that has been seen. */
export interface Fleet {
  /**
   * A stream of a proxy opened.
   * @param resumes the proxy says what it has: its process is not a new one
   */
  connected(node: NodeInfo, resumes?: boolean): ProxyStream;
  /** The connected proxies, in the order they came. */
  members(): Member[];
  /** The filters of the proxy say which revision they run; also of one that Istio configures, and no stream. */
  reported(node: string, revision: string): void;
  /** Milliseconds since any proxy's filters reported; endless before the first report. */
  silentMs(): number;
  /** Namespaces whose routes a proxy gets; none for one that is not known. */
  scope(node: string): readonly string[];
  /** Whether the proxy runs exactly this version of the type. */
  runs(node: string, type: TypeName, version: string): boolean;
  /** The proxies that Istio configures: nothing is known of them but what their filters report. */
  reporters(): { node: string; revision: string; silentMs: number }[];
  /** Changes that are kept from a scope because one of its proxies refused them: they are shown with that proxy. */
  held(scope: readonly string[], refusals: readonly Refusal[]): void;
  list(): Proxy[];
  /** Calls back, at most once per turn of the event loop, after something changed. */
  onChange(listener: () => void): () => void;
}

/** Proxies that are gone are forgotten beyond this number, the ones gone longest first. */
const maxRemembered = 20_000;
/** More of a refusal's message is not kept. */
const maxMessage = 2_000;
/** Filters report about once a second. */
const silentGoneMs = 60_000;

/**
 * Makes a fleet without proxies.
 * @param now the wall clock, for the times that are shown
 */
export function createFleet(now: () => Date = () => new Date()): Fleet {
  /** By node id; several under one id where their namespaces differ. */
  const proxies = new Map<string, ProxyState[]>();
  const held = new Map<string, Held>();
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

  function* all(): Generator<ProxyState> {
    for (const states of proxies.values()) yield* states;
  }
  const isReporter = ({ streams, last }: ProxyState) => streams.size === 0 && last === undefined;

  /** A proxy that only reports is there as long as it does. */
  function isGone(state: ProxyState): boolean {
    return isReporter(state) && now().getTime() - (state.reportedAt?.getTime() ?? 0) > silentGoneMs;
  }

  function dropGone(): void {
    for (const [node, states] of proxies) if (states.every(isGone)) proxies.delete(node);
  }

  function forget(): void {
    if (proxies.size < maxRemembered) return;
    for (const [id, states] of proxies) {
      if (states.some(({ streams }) => streams.size > 0)) continue;
      proxies.delete(id);
      return;
    }
  }

  function add(info: NodeInfo): ProxyState {
    const streams = new Set<StreamAnswers>();
    const state: ProxyState = {
      info,
      node: info.id,
      scope: info.scope,
      streams,
      last: undefined,
      refused: new Map(),
      answered: 0,
      nacks: 0,
      since: now(),
      revision: "",
      isConnected: () => streams.size > 0,
      answer: (type, version) => answerOf(streams, type, version),
      refusal() {
        for (const { name: type } of resourceTypes) {
          const nack = worstOf(streams, type)?.nack;
          if (nack) return { type, ...nack };
        }
        return undefined;
      },
      answers: () => state.answered,
      refusals: () => state.nacks,
      reportedRevision: () => state.revision,
    };
    proxies.set(info.id, [...(proxies.get(info.id) ?? []), state]);
    return state;
  }

  /** The proxy that a stream is of. One that only reported until now has no namespaces yet. */
  function stateOf(info: NodeInfo): ProxyState {
    const known = proxies.get(info.id) ?? [];
    const same = known.find(({ scope }) => scope.join() === info.scope.join());
    if (same) return same;
    const reporter = known.find(isReporter);
    const state = add(info);
    if (reporter) {
      state.revision = reporter.revision;
      if (reporter.reportedAt) state.reportedAt = reporter.reportedAt;
      proxies.set(info.id, [...known.filter((each) => each !== reporter), state]);
    }
    return state;
  }

  /** Of several proxies under one id the one that is there; else the one that was first. */
  function named(node: string): ProxyState | undefined {
    const states = proxies.get(node);
    return states?.find(({ streams }) => streams.size > 0) ?? states?.[0];
  }

  return {
    connected(info, resumes = false) {
      forget();
      const state = stateOf(info);
      // A new process looks at everything anew: its yes counts.
      if (state.streams.size === 0 && (!resumes || state.info.version !== info.version))
        state.refused = new Map();
      if (state.streams.size === 0) state.since = now();
      state.info = info;
      const stream = createStreamAnswers(state.refused);
      state.streams.add(stream);
      const states = proxies.get(info.id) ?? [];
      proxies.delete(info.id);
      proxies.set(info.id, states);
      changed();
      const answered = () => {
        state.answered++;
        changed();
      };
      return {
        sent(type, version) {
          stream.sent(type, version);
          changed();
        },
        acked(type, version) {
          stream.acked(type, version, now());
          answered();
        },
        nacked(type, version, message) {
          const words = message.slice(0, maxMessage) || "no reason given";
          stream.nacked(type, version, words, now());
          state.nacks++;
          answered();
        },
        closed() {
          if (!state.streams.delete(stream)) return;
          state.last = stream;
          state.refused = stream.refused;
          changed();
        },
      };
    },
    members: () => [...all()].filter(({ streams }) => streams.size > 0),
    silentMs: () =>
      heardAt === undefined ? Number.POSITIVE_INFINITY : performance.now() - heardAt,
    reported(node, revision) {
      heardAt = performance.now();
      if (!proxies.has(node)) {
        forget();
        add({ id: node, cluster: "", version: "", scope: [] });
      }
      for (const state of proxies.get(node) ?? []) {
        state.reportedAt = now();
        if (state.revision !== revision) changed();
        state.revision = revision;
      }
    },
    scope: (node) => named(node)?.scope ?? [],
    runs: (node, type, version) => named(node)?.answer(type, version).state === "runs",
    reporters() {
      dropGone();
      const nowMs = now().getTime();
      return [...all()].filter(isReporter).map(({ node, revision, reportedAt }) => ({
        node,
        revision,
        silentMs: nowMs - (reportedAt?.getTime() ?? 0),
      }));
    },
    held(scope, refusals) {
      const key = scope.join();
      const since = held.get(key)?.since ?? now();
      if (refusals.length > 0) held.set(key, { refusals, since });
      else if (!held.delete(key)) return;
      changed();
    },
    list() {
      dropGone();
      return [...all()]
        .map((state) => toProxy(state, state.streams, held.get(state.scope.join())))
        .sort((a, b) => (a.node < b.node ? -1 : 1));
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
