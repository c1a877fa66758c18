// A filter that asks its host odd things in each callback and sends on, in place
// of what it was given, what the host said: status, and size and checksum of what
// came. Two hosts that let it pass the same are the same where filters stray, too.
import {
  proxy_define_metric,
  proxy_get_buffer_bytes,
  proxy_get_header_map_pairs,
  proxy_get_metric,
  proxy_get_property,
  proxy_get_shared_data,
  proxy_increment_metric,
  proxy_record_metric,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
  proxy_set_buffer_bytes,
  proxy_set_shared_data,
} from "../../../../filters/sdk/env";

const arena: usize = memory.data(262144, 8);
const ARENA: usize = 262144;
let used: usize = 0;
const out: usize = memory.data(16, 8);
/** What a host that leaves an out pointer alone leaves there. */
const UNTOUCHED: u32 = 0xaaaa;

const told: usize = memory.data(8192, 8);
const MOST: usize = 8000;
let toldBytes: usize = 0;

const name: usize = memory.data<u8>([0x78, 0x2d, 0x70, 0x72, 0x6f, 0x62, 0x65]); // x-probe
const NAME: usize = 7;
const text: usize = memory.data<u8>([0x61, 0x62, 0x63]); // abc
const unknown: usize = memory.data<u8>([0x77, 0x65, 0x69, 0x72, 0, 0x6e, 0x6f]); // weir, no
const plugin: usize = memory.data<u8>([
  0x70, 0x6c, 0x75, 0x67, 0x69, 0x6e, 0x5f, 0x6e, 0x61, 0x6d, 0x65,
]); // plugin_name
const metric: usize = memory.data<u8>([0x70, 0x72, 0x6f, 0x62, 0x65, 0x64, 0x5f, 0]); // probed_0
let keys: u8 = 0x61;
const key: usize = memory.data<u8>([0x6b, 0]);

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(bytes: u32): usize {
  if (used + bytes > ARENA) return 0;
  const at = arena + used;
  used += (<usize>bytes + 7) & ~7;
  return at;
}

function tellNumber(value: u32): void {
  for (let shift = 28; shift >= 0 && toldBytes < MOST; shift -= 4) {
    const digit = (value >> shift) & 15;
    if (value >> shift == 0 && shift > 0) continue;
    store<u8>(told + toldBytes++, digit < 10 ? 0x30 + digit : 0x57 + digit);
  }
  store<u8>(told + toldBytes++, 0x2e);
}

/** Tells a status, and what the host put behind the out pointers. */
function tellRead(status: i32): void {
  tellNumber(status);
  const ptr = load<u32>(out);
  const bytes = load<u32>(out, 4);
  tellNumber(bytes);
  if (ptr == UNTOUCHED || bytes == UNTOUCHED) return;
  let sum: u32 = 0x811c9dc5;
  for (let i: u32 = 0; i < bytes; i++) sum = (sum ^ load<u8>(ptr + i)) * 0x01000193;
  tellNumber(sum);
}

function clear(): void {
  store<u32>(out, UNTOUCHED);
  store<u32>(out, UNTOUCHED, 4);
}

function begin(kind: u32): void {
  used = 0;
  toldBytes = 0;
  tellNumber(kind);
}

function probeMaps(own: i32): void {
  for (let map = 0; map < 4; map++) {
    clear();
    tellRead(proxy_get_header_map_pairs(map, out, out + 4));
    if (map == own) continue;
    tellNumber(proxy_replace_header_map_value(map, name, NAME, text, 3));
    tellNumber(proxy_remove_header_map_value(map, name, NAME));
  }
}

function readBuffer(type: i32, start: u32, max: u32): void {
  clear();
  tellRead(proxy_get_buffer_bytes(type, start, max, out, out + 4));
}

function probeBuffers(own: i32): void {
  for (let type = 0; type < 9; type++) {
    readBuffer(type, 0, 4);
    readBuffer(type, 0, u32.MAX_VALUE);
    readBuffer(type, 1, 2);
    readBuffer(type, 100000, 1);
    if (type != own && type < 2) tellNumber(proxy_set_buffer_bytes(type, 0, 0, text, 3));
  }
}

function probeMetric(id: u32): void {
  for (let change: i64 = 2; change > -2; change--) {
    tellNumber(proxy_increment_metric(id, change));
    store<u64>(out, UNTOUCHED);
    tellNumber(proxy_get_metric(id, out));
    tellNumber(load<u32>(out));
  }
  tellNumber(proxy_record_metric(id, 7));
  store<u64>(out, UNTOUCHED);
  tellNumber(proxy_get_metric(id, out));
  tellNumber(load<u32>(out));
}

function probeState(): void {
  clear();
  tellRead(proxy_get_property(unknown, 7, out, out + 4));
  clear();
  tellRead(proxy_get_property(plugin, 11, out, out + 4));
  for (let id: u32 = 996; id < 1000; id++) probeMetric(id);
  for (let type = 0; type < 3; type++) {
    store<u8>(metric, 0x30 + <u8>type, 7);
    tellNumber(proxy_define_metric(type, metric, 8, out));
    probeMetric(load<u32>(out));
  }
  store<u8>(key, keys++, 1);
  clear();
  tellRead(proxy_get_shared_data(key, 2, out, out + 4, out + 8));
  tellNumber(proxy_set_shared_data(key, 2, text, 3, 0xffffffff));
  tellNumber(proxy_set_shared_data(key, 2, text, 2, 0xffffffff));
  clear();
  tellRead(proxy_get_shared_data(key, 2, out, out + 4, out + 8));
  tellNumber(proxy_set_shared_data(key, 2, text, 1, load<u32>(out, 8)));
  tellNumber(proxy_set_shared_data(key, 2, text, 0, 0));
  clear();
  tellRead(proxy_get_shared_data(key, 2, out, out + 4, out + 8));
}

function onHeaders(kind: u32, map: i32): i32 {
  begin(kind);
  probeMaps(map);
  probeBuffers(-1);
  probeState();
  proxy_replace_header_map_value(map, name, NAME, told, toldBytes);
  return 0;
}

function onBody(kind: u32, type: i32, bytes: u32): i32 {
  begin(kind);
  tellNumber(bytes);
  probeMaps(-1);
  probeBuffers(type);
  // From the middle, at the end, beyond it, of the front, and of more than there is.
  tellNumber(proxy_set_buffer_bytes(type, 1, 1, text, 3));
  readBuffer(type, 0, 4096);
  tellNumber(proxy_set_buffer_bytes(type, bytes, 0, text, 3));
  readBuffer(type, 0, 4096);
  tellNumber(proxy_set_buffer_bytes(type, 100000, 5, text, 2));
  readBuffer(type, 0, 4096);
  tellNumber(proxy_set_buffer_bytes(type, 0, 2, text, 1));
  readBuffer(type, 0, 4096);
  tellNumber(proxy_set_buffer_bytes(type, 0, 0, text, 1));
  readBuffer(type, 0, 4096);
  tellNumber(proxy_set_buffer_bytes(type, 0, 100000, told, toldBytes));
  return 0;
}

export function proxy_on_configure(_root: u32, _bytes: u32): i32 {
  return 1;
}
export function proxy_on_request_headers(_context: u32, _count: u32, _end: u32): i32 {
  return onHeaders(0, 0);
}
export function proxy_on_request_body(_context: u32, bytes: u32, _end: u32): i32 {
  return onBody(1, 0, bytes);
}
export function proxy_on_request_trailers(_context: u32, _count: u32): i32 {
  return onHeaders(2, 1);
}
export function proxy_on_response_headers(_context: u32, _count: u32, _end: u32): i32 {
  return onHeaders(3, 2);
}
export function proxy_on_response_body(_context: u32, bytes: u32, _end: u32): i32 {
  return onBody(4, 1, bytes);
}
export function proxy_on_response_trailers(_context: u32, _count: u32): i32 {
  return onHeaders(5, 3);
}
