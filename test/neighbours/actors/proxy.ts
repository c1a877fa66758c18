import type { Any } from "@bufbuild/protobuf/wkt";
import { resourceTypes, type TypeName } from "../../../control/xds/types.ts";
import { readResources } from "./reading.ts";
import { openDelta, openSotw, type Response, type Wire } from "./wire.ts";

export type Protocol = "sotw" | "delta";

/** What an answer to one response is: the proxy's own words make it a refusal, undefined is silence. */
export type Verdict = "ack" | { refusal: string } | undefined;

/** How a proxy behaves; everything left out is what a good one does. */
export interface Manners {
  protocol?: Protocol;
  /** What it says to a response. */
  judge?(type: TypeName, prints: ReadonlyMap<string, string> | undefined): Verdict;
  /** Versions that it claims to run when it connects. */
  claims?: Partial<Record<TypeName, string>>;
  /** Pause before it comes back after its stream ended; undefined: it stays away. */
  againMs?: number | undefined;
}

type Prints = ReadonlyMap<string, string>;

export interface ProxyEvents {
  connected(proxy: EmulatedProxy): void;
  lost(proxy: EmulatedProxy): void;
  received(proxy: EmulatedProxy, type: TypeName, resources: readonly Any[], names: string[]): void;
  refused(proxy: EmulatedProxy, type: TypeName): void;
  /** It took a configuration, with these buckets, after those before. */
  runs(proxy: EmulatedProxy, prints: Prints, before: Prints): void;
}

export interface EmulatedProxy {
  node: string;
  scope: readonly string[];
  /** Fair time at which its present stream was answered. */
  connectedMs: number | undefined;
  runs: ReadonlyMap<string, string>;
  manners: Manners;
  /** Its present connection, for those that misbehave below gRPC. */
  wire(): Wire;
  /** Loses its stream; it comes back if its manners say so. */
  cut(): void;
  close(): void;
}

export interface ProxyOptions {
  port: number;
  node: string;
  scope: readonly string[];
  token: string;
  manners: Manners;
  events: ProxyEvents;
  nowMs: () => number;
  /** While true no proxy comes back. */
  isAway(): boolean;
}

const first: Partial<Record<TypeName, string[]>> = { CDS: [], LDS: [], RDS: ["weir"] };

/** A proxy of the suite's own: real gRPC bytes over a connection of its own, with a token. */
export function startEmulatedProxy(options: ProxyOptions): EmulatedProxy {
  const { port, node, scope, token, events, nowMs, isAway } = options;
  const isDelta = options.manners.protocol === "delta";
  let closed = false;
  let wire: Wire;
  const proxy: EmulatedProxy = {
    node,
    scope,
    connectedMs: undefined,
    runs: new Map(),
    manners: options.manners,
    wire: () => wire,
    cut: () => wire.close(),
    close() {
      closed = true;
      wire.close();
    },
  };

  function open(): void {
    // Delta: what of each type is there, as a proxy keeps it.
    const kept = new Map<TypeName, Map<string, Any>>();
    const asked = new Map<TypeName, string[]>();
    const mine = (isDelta ? openDelta : openSotw)({ port, token, node, onResponse, onClose });
    wire = mine;
    for (const { name } of resourceTypes) if (first[name]) ask(name, first[name]);

    function ask(type: TypeName, names: string[]): void {
      const { url } = resourceTypes.find(({ name }) => name === type) ?? { url: "" };
      mine.ask(url, names, asked.get(type), proxy.manners.claims?.[type] ?? "");
      asked.set(type, names);
    }

    function onResponse(response: Response): void {
      const type = resourceTypes.find(({ url }) => url === response.typeUrl)?.name;
      if (type === undefined) return;
      if (proxy.connectedMs === undefined) {
        proxy.connectedMs = nowMs();
        events.connected(proxy);
      }
      events.received(proxy, type, response.resources, response.names);
      const { names, prints } = readResources(type, merge(type, response));
      const verdict = (proxy.manners.judge ?? (() => "ack"))(type, prints);
      if (verdict === undefined) return;
      if (verdict !== "ack") events.refused(proxy, type);
      else if (prints) {
        const before = proxy.runs;
        proxy.runs = prints;
        events.runs(proxy, prints, before);
      }
      const refusal = verdict === "ack" ? undefined : verdict.refusal;
      mine.answer(response, asked.get(type) ?? [], refusal);
      if (names && names.all.length > 0 && names.all.join() !== asked.get(names.type)?.join())
        ask(names.type, names.all);
    }

    function merge(type: TypeName, { resources, names, removed }: Response): Any[] {
      if (!isDelta) return resources;
      const there = kept.get(type) ?? new Map<string, Any>();
      kept.set(type, there);
      for (const [i, name] of names.entries()) there.set(name, resources[i] as Any);
      for (const name of removed) there.delete(name);
      return [...there.values()];
    }

    function onClose(): void {
      if (proxy.connectedMs !== undefined) events.lost(proxy);
      proxy.connectedMs = undefined;
      const { againMs } = proxy.manners;
      if (againMs !== undefined) setTimeout(again, againMs, againMs);
    }
  }

  function again(againMs: number): void {
    if (closed) return;
    if (isAway()) setTimeout(again, againMs, againMs);
    else open();
  }

  open();
  return proxy;
}
