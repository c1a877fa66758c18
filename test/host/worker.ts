import { Buffer } from "node:buffer";
import { createGuestMemory } from "./guest-memory.ts";
import type { Headers } from "./header-map.ts";
import {
  callBody,
  configuration,
  createHostCalls,
  type LocalReply,
  type View,
} from "./host-calls.ts";
import type { SharedState } from "./proxy.ts";

export { type LocalReply, status } from "./host-calls.ts";

/** What one request did to the host. */
export interface Outcome {
  /** 0 goes on, 1 stops. */
  action: number;
  headers: Headers;
  reply: LocalReply | undefined;
  /** Host calls, in order. */
  calls: string[];
  /** Callbacks into the guest, allocations not counted. */
  callbacks: number;
  /** Host calls that made the guest allocate. */
  allocatingReads: number;
}

/** Overrides the status of a host call; undefined lets it happen. */
export type Fault = (call: string) => number | undefined;

/** What the host knows of a request beyond its headers. */
export interface RequestOptions {
  sourceAddress?: string;
  plugin?: string;
  /** Whether a body follows the headers. */
  body?: boolean;
  /** Further properties, e.g. of the connection. */
  properties?: Record<string, string>;
}

/** A stream between its request headers and its end. */
export interface OpenStream extends Outcome {
  context: number;
  /** The headers of the answer, as they leave the filter. */
  answer(headers: Headers): Pick<Outcome, "headers" | "calls" | "callbacks" | "allocatingReads">;
  /** The stream is gone, however it ended. */
  end(): void;
}

/** One stream whose callbacks the test makes one by one, bodies included. */
export interface Exchange {
  context: number;
  /** Headers of the request as they go on. */
  requestHeaders: Headers;
  /** What the filter answered itself. */
  reply(): LocalReply | undefined;
  /** A piece of the request's body; returns what goes on to the pods. */
  requestBody(piece: Buffer, last: boolean): Buffer;
  requestTrailers(trailers: Headers): Headers;
  responseHeaders(headers: Headers, last?: boolean): Headers;
  /** A piece of the answer; returns what goes on to the client now. */
  responseBody(piece: Buffer, last: boolean): Buffer;
  responseTrailers(trailers: Headers): Headers;
  /** Whether the last callback let nothing go on, not even an empty piece. */
  stopped(): boolean;
  /** Host calls since the exchange began. */
  calls(): string[];
  /** The stream is gone, whatever had happened by then; Envoy's word for why, where it has one. */
  end(codeDetails?: string): void;
}

export interface Worker {
  /** One stream, callback by callback; its number is the next one unless it is named. */
  exchange(
    headers: Headers,
    last?: boolean,
    properties?: Record<string, string>,
    number?: number,
  ): Exchange;
  /** Configures a root context; false when the filter refuses. */
  configure(root: number, config: string | Buffer, plugin?: string): boolean;
  /** One stream's request headers, and its end. */
  request(headers: Headers, options?: RequestOptions): Outcome;
  /** One stream's request headers; the stream stays open. */
  open(headers: Headers, options?: RequestOptions): OpenStream;
  trailers(map: "request" | "response", trailers: Headers): Headers;
  tick(root: number): void;
  /** The answer to an HTTP call; absent: it failed. */
  answerCall(root: number, answer?: { status: number; body: string }): void;
  /** A stream or root context is gone. */
  remove(context: number): void;
  /** Bytes of linear memory. */
  memoryBytes(): number;
  /** Milliseconds between the ticks of each root context that asked for them; 0 where it asked for no more. */
  tickPeriods: ReadonlyMap<number, number>;
  /** Callbacks so far, allocations not counted. */
  callbacks(): number;
  /** Calls any export with raw arguments, for fuzzing. */
  raw(name: string, ...args: number[]): unknown;
  exports: string[];
  setFault(fault: Fault | undefined): void;
}

/** Starts one worker: an instance of the module with the host calls Envoy gives it. */
export function startWorker(
  module: WebAssembly.Module,
  shared: SharedState,
  node = "test-node",
): Worker {
  const view: View = {
    // Nothing asks before the module is there.
    guest: undefined as never,
    allocate: () => 0,
    allocatingReads: 0,
    maps: {},
    bodies: {},
    properties: {},
    reply: undefined,
    current: 0,
    tickPeriods: new Map(),
  };
  let calls: string[] = [];
  let callbacks = 0;
  let allCallbacks = 0;
  let fault: Fault | undefined;
  let context = 1000;

  /** Notes a host call; a status where it fails before it happens. */
  const enter = (name: string): number | undefined => {
    calls.push(name);
    return fault === undefined ? undefined : fault(name);
  };
  const counted = Object.fromEntries(
    Object.entries(createHostCalls(shared, view)).map(([name, call]) => [
      name,
      fixedArity(call, () => enter(name)),
    ]),
  );

  const instance = new WebAssembly.Instance(module, { env: counted });
  const memory = instance.exports.memory as WebAssembly.Memory;
  view.guest = createGuestMemory(memory);
  view.allocate = instance.exports.proxy_on_memory_allocate as View["allocate"];
  // Every callback is counted but the allocations nested in our own calls.
  const exports: Record<string, (...args: number[]) => number> = Object.fromEntries(
    Object.entries(instance.exports)
      .filter(([, value]) => typeof value === "function")
      .map(([name, value]) => [
        name,
        (...args: number[]) => {
          if (name !== "proxy_on_memory_allocate") {
            callbacks++;
            view.current = args[0] ?? 0;
          }
          return (value as (...args: number[]) => number)(...args);
        },
      ]),
  );
  exports._initialize?.();

  function reset(): void {
    calls = [];
    view.reply = undefined;
    view.allocatingReads = 0;
    allCallbacks += callbacks;
    callbacks = 0;
  }

  function open(
    headers: Headers,
    { sourceAddress, plugin = "weir", body = false, properties: more }: RequestOptions = {},
  ): OpenStream {
    reset();
    view.maps = { 0: [...headers] };
    view.properties = {
      plugin_name: plugin,
      "xds.node.id": node,
      ...(sourceAddress ? { "source.address": sourceAddress } : {}),
      ...more,
    };
    const id = ++context;
    const action = exports.proxy_on_request_headers?.(id, headers.length, body ? 0 : 1) ?? 0;
    return {
      context: id,
      action,
      headers: view.maps[0] as Headers,
      reply: view.reply,
      calls: [...calls],
      allocatingReads: view.allocatingReads,
      callbacks,
      answer: (answered) => {
        reset();
        // The request's headers are out of reach by now.
        view.maps = { 2: [...answered] };
        exports.proxy_on_response_headers?.(id, answered.length, 0);
        return {
          headers: view.maps[2] as Headers,
          calls: [...calls],
          allocatingReads: view.allocatingReads,
          callbacks,
        };
      },
      end: () => void exports.proxy_on_delete?.(id),
    };
  }

  function exchange(
    headers: Headers,
    last = false,
    more: Record<string, string> = {},
    id = ++context,
  ): Exchange {
    reset();
    view.properties = { plugin_name: "weir", "xds.node.id": node, ...more };
    let own: LocalReply | undefined;
    let action = 0;
    /** Runs a callback; what the filter answers is this stream's. */
    const run = (callback: string, size: number, end: boolean) => {
      view.reply = undefined;
      action = exports[callback]?.(id, size, end ? 1 : 0) ?? 0;
      own = view.reply ?? own;
    };
    /** A callback about headers, which are only there while it runs. */
    const pass = (map: number, callback: string, given: Headers, end: boolean) => {
      const passed: Headers = given.map(([key, value]) => [key, value]);
      view.maps = { [map]: passed };
      run(callback, given.length, end);
      view.maps = {};
      return passed;
    };
    /** A callback about a piece of a body; what is left in the buffer goes on, unless it is stopped. */
    const passBody = (type: number, callback: string, piece: Buffer, end: boolean) => {
      view.bodies = { [type]: piece };
      const before = calls.length;
      run(callback, piece.length, end);
      const left = view.bodies[type] ?? Buffer.alloc(0);
      view.bodies = {};
      // 3 goes on with nothing; any other stop would hold the stream, unless it is answered here.
      const answers = calls.indexOf("proxy_send_local_response", before) >= 0;
      if (action !== 0 && action !== 3 && own === undefined && !answers)
        throw new Error(`${callback} answered ${action}`);
      return action === 0 ? left : Buffer.alloc(0);
    };
    const requestHeaders = pass(0, "proxy_on_request_headers", headers, last);
    /** What came of the body of a request whose headers wait for it; undefined once they went on. */
    let held: Buffer | undefined =
      action === 1 && own === undefined && !last ? Buffer.alloc(0) : undefined;
    /** While headers wait, each callback about the body sees them, and all of it so far. */
    const passHeld = (before: Buffer, callback: string, size: number, end: boolean) => {
      view.bodies = { 0: before };
      view.maps = { ...view.maps, 0: requestHeaders };
      run(callback, size, end);
      const all = view.bodies[0] ?? Buffer.alloc(0);
      view.bodies = {};
      view.maps = {};
      held = action === 1 && own === undefined ? all : undefined;
      return action === 0 ? all : Buffer.alloc(0);
    };
    return {
      context: id,
      requestHeaders,
      reply: () => own,
      stopped: () => action !== 0,
      requestBody(piece, end) {
        if (held === undefined) return passBody(0, "proxy_on_request_body", piece, end);
        const all = Buffer.concat([held, piece]);
        return passHeld(all, "proxy_on_request_body", all.length, end);
      },
      requestTrailers(trailers) {
        if (held === undefined) return pass(1, "proxy_on_request_trailers", trailers, true);
        const passed: Headers = trailers.map(([key, value]) => [key, value]);
        view.maps = { 1: passed };
        passHeld(held, "proxy_on_request_trailers", trailers.length, true);
        return passed;
      },
      responseHeaders: (answer, end = false) => pass(2, "proxy_on_response_headers", answer, end),
      responseBody: (piece, end) => passBody(1, "proxy_on_response_body", piece, end),
      responseTrailers: (trailers) => pass(3, "proxy_on_response_trailers", trailers, true),
      calls: () => [...calls],
      end(codeDetails) {
        if (codeDetails !== undefined) view.properties["response.code_details"] = codeDetails;
        exports.proxy_on_delete?.(id);
      },
    };
  }

  return {
    exchange,
    configure(root, config, plugin = "weir") {
      reset();
      const bytes = Buffer.isBuffer(config) ? config : Buffer.from(config, "utf8");
      view.bodies = { [configuration]: bytes };
      view.properties = { plugin_name: plugin, "xds.node.id": node };
      const taken = exports.proxy_on_configure?.(root, bytes.length) === 1;
      view.bodies = {};
      return taken;
    },
    request(headers, options) {
      const stream = open(headers, options);
      stream.end();
      return { ...stream, callbacks };
    },
    open,
    trailers(map, trailers) {
      reset();
      const number = map === "request" ? 1 : 3;
      view.maps = { [number]: trailers.map(([key, value]) => [key, value]) };
      exports[map === "request" ? "proxy_on_request_trailers" : "proxy_on_response_trailers"]?.(
        ++context,
        trailers.length,
      );
      return view.maps[number] as Headers;
    },
    tick(root) {
      reset();
      view.properties = { plugin_name: "weir", "xds.node.id": node };
      exports.proxy_on_tick?.(root);
    },
    answerCall(root, answer) {
      reset();
      view.properties = { plugin_name: "weir", "xds.node.id": node };
      view.maps = answer ? { 6: [[":status", String(answer.status)]] } : {};
      const body = Buffer.from(answer?.body ?? "", "utf8");
      view.bodies = { [callBody]: body };
      exports.proxy_on_http_call_response?.(root, 1, answer ? 1 : 0, body.length, 0);
      view.maps = {};
      view.bodies = {};
    },
    remove: (id) => void exports.proxy_on_delete?.(id),
    tickPeriods: view.tickPeriods,
    callbacks: () => allCallbacks + callbacks,
    memoryBytes: () => memory.buffer.byteLength,
    raw: (name, ...args) => exports[name]?.(...args),
    exports: Object.keys(exports),
    setFault(next) {
      fault = next;
    },
  };
}

/** `call` behind `enter`, without the arrays that rest parameters would make on each host call. */
function fixedArity(
  call: (...args: never[]) => number,
  enter: () => number | undefined,
): (...args: never[]) => number {
  if (call.length === 2) return (a, b) => enter() ?? call(a, b);
  if (call.length === 3) return (a, b, c) => enter() ?? call(a, b, c);
  if (call.length === 5) return (a, b, c, d, e) => enter() ?? call(a, b, c, d, e);
  return (...args) => enter() ?? call(...args);
}
