import { Buffer } from "node:buffer";
import { type GuestMemory, pairsSize } from "./guest-memory.ts";
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

/** What the callback that runs can see and change of its host. */
export interface View {
  guest: GuestMemory;
  allocate(bytes: number): number;
  /** Host calls that made the guest allocate. */
  allocatingReads: number;
  /** Header maps that are there, by their number in the ABI. */
  maps: Record<number, Headers>;
  /** Buffers that are there, by their type in the ABI. */
  bodies: Record<number, Buffer>;
  properties: Record<string, string>;
  reply: LocalReply | undefined;
  /** The context whose callback runs. */
  current: number;
  tickPeriods: Map<number, number>;
}

/** Buffer types: the body of an answer to a call, and the plug-in's configuration. */
export const callBody = 4;
export const configuration = 7;
const onlyAtTimes = [callBody, configuration];
const empty = Buffer.alloc(0);

const counter = 0;
const histogram = 2;
/** Of a metric that is not there: Envoy's numbers tell the type in their last two bits. */
const noMetric = (id: number) => ((id & 3) < histogram ? status.notFound : status.badArgument);

/** The host calls that Weir uses, as Envoy answers them: test/e2e/stream-truth.test.ts holds them to that. */
export function createHostCalls(
  shared: SharedState,
  view: View,
): Record<string, (...args: never[]) => number> {
  /** Gives the guest a value: it allocates, `write` fills. */
  function give(
    size: number,
    outPtr: number,
    outSize: number,
    write: (ptr: number) => void,
  ): number {
    let ptr = 0;
    if (size > 0) {
      view.allocatingReads++;
      ptr = view.allocate(size);
      if (ptr === 0) return status.invalidMemory;
      write(ptr);
    }
    view.guest.u32(outPtr, ptr);
    view.guest.u32(outSize, size);
    return status.ok;
  }

  function giveBytes(value: Buffer, outPtr: number, outSize: number): number {
    return give(value.length, outPtr, outSize, (ptr) => {
      value.copy(view.guest.bytes(ptr, value.length));
    });
  }

  return {
    proxy_log: (level: number, ptr: number, size: number) => {
      shared.log.push({ level, message: view.guest.text(ptr, size) });
      return status.ok;
    },
    proxy_get_current_time_nanoseconds: (out: number) => {
      view.guest.u64(out, shared.nowNs);
      return status.ok;
    },
    proxy_set_tick_period_milliseconds: (periodMs: number) => {
      view.tickPeriods.set(view.current, periodMs);
      return status.ok;
    },
    proxy_get_property: (path: number, size: number, outPtr: number, outSize: number) => {
      const value = view.properties[view.guest.text(path, size).replaceAll("\0", ".")];
      if (value === undefined) return status.notFound;
      return give(value.length, outPtr, outSize, (ptr) => view.guest.write(ptr, value));
    },
    proxy_get_buffer_bytes: (
      type: number,
      start: number,
      size: number,
      outPtr: number,
      outSize: number,
    ) => {
      const buffer = view.bodies[type];
      // Bodies and data are there at any time, if empty; the rest is only there for its callback.
      if (buffer === undefined && onlyAtTimes.includes(type)) return status.notFound;
      const value = (buffer ?? empty).subarray(start >>> 0, (start >>> 0) + (size >>> 0));
      return giveBytes(value, outPtr, outSize);
    },
    // As Envoy has it: what is drained comes from the front, and what replaces it goes there.
    proxy_set_buffer_bytes: (
      type: number,
      start: number,
      size: number,
      ptr: number,
      valueSize: number,
    ) => {
      const buffer = view.bodies[type];
      if (buffer === undefined) return status.badArgument;
      const value = Buffer.from(view.guest.bytes(ptr >>> 0, valueSize >>> 0));
      if (start === 0) view.bodies[type] = Buffer.concat([value, buffer.subarray(size >>> 0)]);
      else if (start >>> 0 >= buffer.length) view.bodies[type] = Buffer.concat([buffer, value]);
      else return status.badArgument;
      return status.ok;
    },
    proxy_get_header_map_pairs: (map: number, outPtr: number, outSize: number) => {
      const headers = view.maps[map];
      // A map that is not there reads as one without a pair, and cannot be changed.
      if (headers === undefined) return give(0, outPtr, outSize, () => {});
      return give(pairsSize(headers), outPtr, outSize, (ptr) =>
        view.guest.writePairs(ptr, headers),
      );
    },
    proxy_replace_header_map_value: (
      map: number,
      key: number,
      keySize: number,
      value: number,
      valueSize: number,
    ) => {
      const headers = view.maps[map];
      if (headers === undefined) return status.badArgument;
      replaceHeader(headers, view.guest.text(key, keySize), view.guest.text(value, valueSize));
      return status.ok;
    },
    proxy_remove_header_map_value: (map: number, key: number, keySize: number) => {
      const headers = view.maps[map];
      if (headers === undefined) return status.badArgument;
      removeHeader(headers, view.guest.text(key, keySize));
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
      view.reply = {
        status: code,
        details: view.guest.text(details, detailsSize),
        body: view.guest.text(body, bodySize),
        headers: decodePairs(view.guest.bytes(headers, headersSize)),
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
      const found = shared.data.get(view.guest.text(key, keySize));
      if (found === undefined) return status.notFound;
      view.guest.u32(outCas, found.cas);
      return giveBytes(found.value, outPtr, outSize);
    },
    proxy_set_shared_data: (
      key: number,
      keySize: number,
      value: number,
      valueSize: number,
      cas: number,
    ) => {
      const name = view.guest.text(key, keySize);
      const found = shared.data.get(name);
      // A missing key is made whatever number comes with it: Envoy's quirk that "create if absent" rests on.
      if (found !== undefined && cas !== 0 && cas >>> 0 !== found.cas) return status.casMismatch;
      shared.data.set(name, {
        value: Buffer.from(view.guest.bytes(value, valueSize)),
        cas: shared.nextCas++,
      });
      return status.ok;
    },
    proxy_define_metric: (type: number, name: number, nameSize: number, out: number) => {
      const wanted = view.guest.text(name, nameSize);
      const key = `${type} ${wanted}`;
      const id = shared.metricIds.get(key) ?? shared.metrics.size + 1;
      shared.definitions++;
      if (!shared.metricIds.has(key)) shared.metrics.set(id, { type, name: wanted, value: 0n });
      shared.metricIds.set(key, id);
      view.guest.u32(out, id);
      return status.ok;
    },
    proxy_increment_metric: ((id: number, offset: bigint) => {
      const metric = shared.metrics.get(id);
      if (metric === undefined) return noMetric(id);
      if (metric.type === histogram) return status.badArgument;
      if (metric.type === counter && offset <= 0n) return status.badArgument;
      metric.value = BigInt.asUintN(64, metric.value + offset);
      return status.ok;
    }) as never,
    proxy_record_metric: ((id: number, value: bigint) => {
      const metric = shared.metrics.get(id);
      if (metric === undefined) return status.notFound;
      metric.value = metric.type === counter ? metric.value + value : value;
      return status.ok;
    }) as never,
    proxy_get_metric: (id: number, out: number) => {
      const metric = shared.metrics.get(id);
      if (metric === undefined) return noMetric(id);
      if (metric.type === histogram) return status.badArgument;
      view.guest.u64(out, metric.value);
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
        cluster: view.guest.text(cluster, clusterSize),
        headers: decodePairs(view.guest.bytes(headers, headersSize)),
        body: view.guest.text(body, bodySize),
      });
      view.guest.u32(out, 1);
      return status.ok;
    },
  };
}
