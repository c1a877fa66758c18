// Weir's four header decisions on @gcoredev/proxy-wasm-sdk-as, for the benchmark's
// request: one read of all headers, the same writes, the same leases from a shared
// bucket. Its settings are constants, which favours it.
export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";

import {
  Context,
  FilterHeadersStatusValues,
  get_current_time_nanoseconds,
  get_shared_data,
  makeHeaderPair,
  RootContext,
  registerRootContext,
  send_http_response,
  set_shared_data,
  stream_context,
  WasmResultValues,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";

const CLAIMED: string[] = ["x-weir-tenant", "x-weir-tier", "x-shadow-mode", "x-traffic-tag"];

/** A token bucket: what this worker has leased, and the rate of the shared one. */
class Bucket {
  intervalNs: u64;
  windowNs: u64;
  tokens: u64 = 0;
  constructor(
    public name: string,
    rate: u64,
    burst: u64,
  ) {
    this.intervalNs = 1000000000 / rate;
    this.windowNs = this.intervalNs * burst;
  }

  admit(): bool {
    if (this.tokens == 0) this.tokens = this.lease();
    if (this.tokens == 0) return false;
    this.tokens--;
    return true;
  }

  /** An eighth of what the bucket in shared data holds, by compare and set. */
  lease(): u64 {
    const now = get_current_time_nanoseconds();
    for (let i = 0; i < 8; i++) {
      const known = get_shared_data(this.name);
      const value = known.value;
      let arrival: u64 = 0;
      if (known.result == WasmResultValues.Ok && value !== null && value.byteLength == 8)
        arrival = load<u64>(changetype<usize>(value));
      arrival = min(max(arrival, now), now + this.windowNs);
      const there = (now + this.windowNs - arrival) / this.intervalNs;
      if (there == 0) return 0;
      const take = max<u64>(there / 8, 1);
      const next = new ArrayBuffer(8);
      store<u64>(changetype<usize>(next), arrival + take * this.intervalNs);
      const cas = known.result == WasmResultValues.Ok ? known.cas : u32.MAX_VALUE;
      if (set_shared_data(this.name, next, cas) == WasmResultValues.Ok) return take;
    }
    return 0;
  }
}

const tenants = new Map<string, Bucket>();
tenants.set("acme", new Bucket("peer.as.acme", 1000000, 1000000));
const others = new Bucket("peer.as.others", 5, 10);

/** FNV-1a, then a bucket of 10,000. */
function bucketOf(key: string, seed: u32): u32 {
  let hash = seed ^ 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = (hash ^ <u32>key.charCodeAt(i)) * 0x01000193;
  return hash % 10000;
}

function valueOf(headers: Map<string, string>, name: string): string {
  return headers.has(name) ? headers.get(name) : "";
}

function mayCompress(headers: Map<string, string>): bool {
  if (headers.has("upgrade") || headers.has(":protocol")) return false;
  if (headers.has("range") || headers.has("cookie")) return false;
  const method = valueOf(headers, ":method");
  return (
    method != "HEAD" &&
    method != "CONNECT" &&
    !valueOf(headers, "content-type").toLowerCase().includes("application/grpc") &&
    !valueOf(headers, "accept").toLowerCase().includes("text/event-stream") &&
    !valueOf(headers, "cache-control").toLowerCase().includes("no-transform")
  );
}

function acceptsGzip(field: string): bool {
  const members = field.split(",");
  for (let i = 0; i < members.length; i++) {
    const parts = members[i].split(";");
    if (parts[0].trim() == "gzip" && (parts.length < 2 || !parts[1].trim().startsWith("q=0")))
      return true;
  }
  return false;
}

class Stream extends Context {
  onRequestHeaders(_count: u32, _endOfStream: bool): FilterHeadersStatusValues {
    const request = stream_context.headers.request;
    const pairs = request.get_headers();
    const headers = new Map<string, string>();
    for (let i = 0; i < pairs.length; i++)
      headers.set(String.UTF8.decode(pairs[i].key), String.UTF8.decode(pairs[i].value));

    const tenant = valueOf(headers, "x-tenant-id");
    const bucket = tenants.has(tenant) ? tenants.get(tenant) : others;
    if (!bucket.admit()) {
      const body = String.UTF8.encode("rate limited");
      send_http_response(429, "limited", body, [makeHeaderPair("retry-after", "1")]);
      return FilterHeadersStatusValues.StopIteration;
    }
    for (let i = 0; i < CLAIMED.length; i++)
      if (headers.has(CLAIMED[i])) request.remove(CLAIMED[i]);

    const id = valueOf(headers, "x-request-id");
    if (bucketOf(id, 1) < 100) {
      request.replace("x-shadow-mode", "true");
      request.replace("x-traffic-tag", "bench");
    }
    const key = headers.has("x-user-id") ? headers.get("x-user-id") : id;
    request.replace("x-weir-variant", bucketOf(key, 2) < 9000 ? "stable" : "canary");

    if (headers.has("accept-encoding")) {
      const accepted = headers.get("accept-encoding");
      if (!mayCompress(headers) || !acceptsGzip(accepted)) request.remove("accept-encoding");
      else if (accepted != "gzip") request.replace("accept-encoding", "gzip");
    }
    return FilterHeadersStatusValues.Continue;
  }
}

class Root extends RootContext {
  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

registerRootContext((id: u32) => new Root(id), "peer");
