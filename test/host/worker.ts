import { Buffer } from "node:buffer";
import { createGuestMemory, type GuestMemory, pairsSize } from "./guest-memory.ts";
import { type Headers, removeHeader, replaceHeader } from "./header-map.ts";
import { decodePairs, type SharedState } from "./proxy.ts";

/** Statuses of the ABI that the emulator answers. */
export const status = {
  ok: 0,
  notFound: 1,
  badArgument: 2,
  invalidMemory: 6,
  casMismatch: 8,
  internal: 10,
} as const;

/** What a filter answered in place of the pods. */
export interface LocalReply {
  status: number;
  details: string;
  headers: [string, string][];
  body: string;
  grpcStatus: number;
}

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
  let memory: WebAssembly.Memory;
  let guest: GuestMemory;
  let allocate: (bytes: number) => number = () => 0;
  let exports: Record<string, (...args: number[]) => number>;
  let configuration: Buffer = Buffer.alloc(0);
  let callBody: Buffer | undefined;
  let maps: Record<number, Headers> = {};
  /** The pieces of bodies that a callback is about, by buffer type. */
  let bodies: Record<number, Buffer> = {};
  let properties: Record<string, string> = {};
  let reply: LocalReply | undefined;
  let calls: string[] = [];
  let allocatingReads = 0;
  let callbacks = 0;
  let allCallbacks = 0;
  /** The context whose callback runs. */
  let current = 0;
  const tickPeriods = new Map<number, number>();
  let fault: Fault | undefined;
  let context = 1000;

  /** Gives the guest a value: it allocates, `write` fills. */
  function give(
    size: number,
    outPtr: number,
    outSize: number,
    write: (ptr: number) => void,
  ): number {
    let ptr = 0;
    if (size > 0) {
      allocatingReads++;
      ptr = allocate(size);
      if (ptr === 0) return status.invalidMemory;
      write(ptr);
    }
    guest.u32(outPtr, ptr);
    guest.u32(outSize, size);
    return status.ok;
  }

  const env: Record<string, (...args: never[]) => number> = {
    proxy_log: (level: number, ptr: number, size: number) => {
      shared.log.push({ level, message: guest.text(ptr, size) });
      return status.ok;
    },
    proxy_get_current_time_nanoseconds: (out: number) => {
      guest.u64(out, shared.nowNs);
      return status.ok;
    },
    proxy_set_tick_period_milliseconds: (periodMs: number) => {
      tickPeriods.set(current, periodMs);
      return status.ok;
    },
    proxy_get_property: (path: number, size: number, outPtr: number, outSize: number) => {
      const value = properties[guest.text(path, size).replaceAll("\0", ".")];
      if (value === undefined) return status.notFound;
      return give(value.length, outPtr, outSize, (ptr) => guest.write(ptr, value));
    },
    proxy_get_buffer_bytes: (
      type: number,
      start: number,
      size: number,
      outPtr: number,
      outSize: number,
    ) => {
      const buffer = type === 7 ? configuration : type === 4 ? callBody : bodies[type];
      if (buffer === undefined) return status.notFound;
      const value = buffer.subarray(start, start + size);
      return give(value.length, outPtr, outSize, (ptr) => {
        value.copy(guest.bytes(ptr, value.length));
      });
    },
    // As Envoy has it: what is drained comes from the front, and what replaces it goes there.
    proxy_set_buffer_bytes: (
      type: number,
      start: number,
      size: number,
      ptr: number,
      valueSize: number,
    ) => {
      const buffer = bodies[type];
      if (buffer === undefined) return status.notFound;
      const value = Buffer.from(guest.bytes(ptr >>> 0, valueSize >>> 0));
      if (start === 0) bodies[type] = Buffer.concat([value, buffer.subarray(size)]);
      else if (start >= buffer.length) bodies[type] = Buffer.concat([buffer, value]);
      else return status.badArgument;
      return status.ok;
    },
    proxy_get_header_map_pairs: (map: number, outPtr: number, outSize: number) => {
      const headers = maps[map];
      if (headers === undefined) return status.badArgument;
      return give(pairsSize(headers), outPtr, outSize, (ptr) => guest.writePairs(ptr, headers));
    },
    proxy_replace_header_map_value: (
      map: number,
      key: number,
      keySize: number,
      value: number,
      valueSize: number,
    ) => {
      const headers = maps[map];
      if (headers === undefined) return status.badArgument;
      replaceHeader(headers, guest.text(key, keySize), guest.text(value, valueSize));
      return status.ok;
    },
    proxy_remove_header_map_value: (map: number, key: number, keySize: number) => {
      const headers = maps[map];
      if (headers === undefined) return status.badArgument;
      removeHeader(headers, guest.text(key, keySize));
      return status.ok;
    },
    proxy_send_local_response: (
      code: number,
      details: number,
      detailsSize: number,
      body: number,
      bodySize: number,
      headers: number,
      headersSize: number,
      grpcStatus: number,
    ) => {
      reply = {
        status: code,
        details: guest.text(details, detailsSize),
        body: guest.text(body, bodySize),
        headers: decodePairs(guest.bytes(headers, headersSize)),
        grpcStatus,
      };
      return status.ok;
    },
    proxy_get_shared_data: (
      key: number,
      keySize: number,
      outPtr: number,
      outSize: number,
      outCas: number,
    ) => {
      const found = shared.data.get(guest.text(key, keySize));
      if (found === undefined) return status.notFound;
      guest.u32(outCas, found.cas);
      const { value } = found;
      return give(value.length, outPtr, outSize, (ptr) => {
        value.copy(guest.bytes(ptr, value.length));
      });
    },
    proxy_set_shared_data: (
      key: number,
      keySize: number,
      value: number,
      valueSize: number,
      cas: number,
    ) => {
      const name = guest.text(key, keySize);
      const found = shared.data.get(name);
      // A missing key is made whatever number comes with it: Envoy's quirk that "create if absent" rests on.
      if (found !== undefined && cas !== 0 && cas >>> 0 !== found.cas) return status.casMismatch;
      shared.data.set(name, {
        value: Buffer.from(guest.bytes(value, valueSize)),
        cas: shared.nextCas++,
      });
      return status.ok;
    },
    proxy_define_metric: (type: number, name: number, nameSize: number, out: number) => {
      const wanted = guest.text(name, nameSize);
      const known = [...shared.metrics].find(([, metric]) => metric.name === wanted);
      const id = known?.[0] ?? shared.metrics.size + 1;
      if (!known) shared.metrics.set(id, { type, name: wanted, value: 0n });
      guest.u32(out, id);
      return status.ok;
    },
    proxy_increment_metric: ((id: number, offset: bigint) => {
      const metric = shared.metrics.get(id);
      if (metric === undefined) return status.notFound;
      metric.value += offset;
      return status.ok;
    }) as never,
    proxy_record_metric: ((id: number, value: bigint) => {
      const metric = shared.metrics.get(id);
      if (metric === undefined) return status.notFound;
      metric.value = value;
      return status.ok;
    }) as never,
    proxy_get_metric: (id: number, out: number) => {
      const metric = shared.metrics.get(id);
      if (metric === undefined) return status.notFound;
      guest.u64(out, metric.value);
      return status.ok;
    },
    proxy_http_call: (
      cluster: number,
      clusterSize: number,
      headers: number,
      headersSize: number,
      body: number,
      bodySize: number,
      _trailers: number,
      _trailersSize: number,
      _timeoutMs: number,
      out: number,
    ) => {
      shared.httpCalls.push({
        cluster: guest.text(cluster, clusterSize),
        headers: decodePairs(guest.bytes(headers, headersSize)),
        body: guest.text(body, bodySize),
      });
      guest.u32(out, 1);
      return status.ok;
    },
  };
  /** Notes a host call; a status where it fails before it happens. */
  const enter = (name: string): number | undefined => {
    calls.push(name);
    return fault === undefined ? undefined : fault(name);
  };
  const counted = Object.fromEntries(
    Object.entries(env).map(([name, call]) => [name, fixedArity(call, () => enter(name))]),
  );

  const instance = new WebAssembly.Instance(module, { env: counted });
  memory = instance.exports.memory as WebAssembly.Memory;
  guest = createGuestMemory(memory);
  allocate = instance.exports.proxy_on_memory_allocate as typeof allocate;
  // Every callback is counted but the allocations nested in our own calls.
  exports = Object.fromEntries(
    Object.entries(instance.exports)
      .filter(([, value]) => typeof value === "function")
      .map(([name, value]) => [
        name,
        (...args: number[]) => {
          if (name !== "proxy_on_memory_allocate") {
            callbacks++;
            current = args[0] ?? 0;
          }
          return (value as (...args: number[]) => number)(...args);
        },
      ]),
  );
  exports._initialize?.();

  function reset(): void {
    calls = [];
    reply = undefined;
    allocatingReads = 0;
    allCallbacks += callbacks;
    callbacks = 0;
  }

  function open(
    headers: Headers,
    { sourceAddress, plugin = "weir", body = false, properties: more }: RequestOptions = {},
  ): OpenStream {
    reset();
    maps = { 0: [...headers] };
    properties = {
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
      headers: maps[0] as Headers,
      reply,
      calls: [...calls],
      allocatingReads,
      callbacks,
      answer: (answered) => {
        reset();
        // The request's headers are out of reach by now.
        maps = { 2: [...answered] };
        exports.proxy_on_response_headers?.(id, answered.length, 0);
        return { headers: maps[2] as Headers, calls: [...calls], allocatingReads, callbacks };
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
    properties = { plugin_name: "weir", "xds.node.id": node, ...more };
    let own: LocalReply | undefined;
    let action = 0;
    /** Runs a callback; what the filter answers is this stream's. */
    const run = (callback: string, size: number, end: boolean) => {
      reply = undefined;
      action = exports[callback]?.(id, size, end ? 1 : 0) ?? 0;
      own = reply ?? own;
    };
    /** A callback about headers, which are only there while it runs. */
    const pass = (map: number, callback: string, given: Headers, end: boolean) => {
      const passed: Headers = given.map(([key, value]) => [key, value]);
      maps = { [map]: passed };
      run(callback, given.length, end);
      maps = {};
      return passed;
    };
    /** A callback about a piece of a body; what is left in the buffer goes on, unless it is stopped. */
    const passBody = (type: number, callback: string, piece: Buffer, end: boolean) => {
      bodies = { [type]: piece };
      run(callback, piece.length, end);
      const left = bodies[type] ?? Buffer.alloc(0);
      bodies = {};
      // 3 goes on with nothing; any other stop would hold the stream.
      if (action !== 0 && action !== 3 && own === undefined)
        throw new Error(`${callback} answered ${action}`);
      return action === 0 ? left : Buffer.alloc(0);
    };
    return {
      context: id,
      requestHeaders: pass(0, "proxy_on_request_headers", headers, last),
      reply: () => own,
      stopped: () => action !== 0,
      requestBody: (piece, end) => passBody(0, "proxy_on_request_body", piece, end),
      requestTrailers: (trailers) => pass(1, "proxy_on_request_trailers", trailers, true),
      responseHeaders: (answer, end = false) => pass(2, "proxy_on_response_headers", answer, end),
      responseBody: (piece, end) => passBody(1, "proxy_on_response_body", piece, end),
      responseTrailers: (trailers) => pass(3, "proxy_on_response_trailers", trailers, true),
      calls: () => [...calls],
      end(codeDetails) {
        if (codeDetails !== undefined) properties["response.code_details"] = codeDetails;
        exports.proxy_on_delete?.(id);
      },
    };
  }

  return {
    exchange,
    configure(root, config, plugin = "weir") {
      reset();
      configuration = Buffer.isBuffer(config) ? config : Buffer.from(config, "utf8");
      properties = { plugin_name: plugin, "xds.node.id": node };
      return exports.proxy_on_configure?.(root, configuration.length) === 1;
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
      maps = { [number]: trailers.map(([key, value]) => [key, value]) };
      exports[map === "request" ? "proxy_on_request_trailers" : "proxy_on_response_trailers"]?.(
        ++context,
        trailers.length,
      );
      return maps[number] as Headers;
    },
    tick(root) {
      reset();
      properties = { plugin_name: "weir", "xds.node.id": node };
      exports.proxy_on_tick?.(root);
    },
    answerCall(root, answer) {
      reset();
      properties = { plugin_name: "weir", "xds.node.id": node };
      maps = answer ? { 6: [[":status", String(answer.status)]] } : {};
      callBody = Buffer.from(answer?.body ?? "", "utf8");
      exports.proxy_on_http_call_response?.(root, 1, answer ? 1 : 0, callBody.length, 0);
      callBody = undefined;
    },
    remove: (id) => void exports.proxy_on_delete?.(id),
    tickPeriods,
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
