// The host of weir.wasm as C, for counting instructions: it answers each call with
// as little work as can be. Run as: counter CONFIG HEADERS STEP_NS REQUESTS CONFIGURATIONS.
// HEADERS holds the pairs as the ABI lays them out. CONFIG is taken so many times,
// each by a root context of its own that replaces the one before.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "weir.h"

struct Z_env_instance_t {
  Z_weir_instance_t *guest;
};
typedef struct Z_env_instance_t env_t;

static struct {
  u8 *bytes;
  u32 size;
} config, headers;
static u64 now_ns = 1700000000000000000ull;
#define MAX_METRICS (1 << 20)
static u64 metrics[MAX_METRICS];
static u32 metric_count = 0;
/* Shared data: the sets of buckets, and few keys beside them. */
static struct {
  u8 key[64], value[64];
  u32 key_size, size, cas;
} shared[64];
static u32 shared_count = 0, refused = 0, written = 0;

static u8 *at(env_t *env, u32 ptr) { return Z_weirZ_memory(env->guest)->data + ptr; }
static void put(env_t *env, u32 ptr, u32 value) { memcpy(at(env, ptr), &value, 4); }

static u32 give(env_t *env, const u8 *bytes, u32 size, u32 out, u32 out_size) {
  u32 ptr = size ? Z_weirZ_proxy_on_memory_allocate(env->guest, size) : 0;
  if (size && !ptr) return 6;
  memcpy(at(env, ptr), bytes, size);
  put(env, out, ptr);
  put(env, out_size, size);
  return 0;
}

u32 Z_envZ_proxy_log(env_t *env, u32 level, u32 ptr, u32 size) {
  fprintf(stderr, "%.*s\n", (int)size, at(env, ptr));
  return 0;
}
u32 Z_envZ_proxy_get_current_time_nanoseconds(env_t *env, u32 out) {
  memcpy(at(env, out), &now_ns, 8);
  return 0;
}
u32 Z_envZ_proxy_set_tick_period_milliseconds(env_t *env, u32 ms) { return 0; }
u32 Z_envZ_proxy_get_property(env_t *env, u32 path, u32 size, u32 out, u32 out_size) { return 1; }
u32 Z_envZ_proxy_get_buffer_bytes(env_t *env, u32 type, u32 start, u32 most, u32 out, u32 out_size) {
  return type == 7 ? give(env, config.bytes, config.size, out, out_size) : 1;
}
u32 Z_envZ_proxy_get_header_map_pairs(env_t *env, u32 map, u32 out, u32 out_size) {
  return map == 0 ? give(env, headers.bytes, headers.size, out, out_size) : 2;
}
u32 Z_envZ_proxy_replace_header_map_value(env_t *env, u32 map, u32 k, u32 kn, u32 v, u32 vn) {
  written++;
  return 0;
}
u32 Z_envZ_proxy_remove_header_map_value(env_t *env, u32 map, u32 k, u32 kn) { return 0; }
u32 Z_envZ_proxy_send_local_response(env_t *env, u32 code, u32 d, u32 dn, u32 b, u32 bn, u32 h,
                                     u32 hn, u32 grpc) {
  refused++;
  return 0;
}
static int find(env_t *env, u32 key, u32 size) {
  for (u32 i = 0; i < shared_count; i++)
    if (shared[i].key_size == size && !memcmp(shared[i].key, at(env, key), size)) return i;
  return -1;
}
u32 Z_envZ_proxy_get_shared_data(env_t *env, u32 key, u32 size, u32 out, u32 out_size, u32 out_cas) {
  int i = find(env, key, size);
  if (i < 0) return 1;
  put(env, out_cas, shared[i].cas);
  return give(env, shared[i].value, shared[i].size, out, out_size);
}
u32 Z_envZ_proxy_set_shared_data(env_t *env, u32 key, u32 size, u32 value, u32 value_size, u32 cas) {
  int i = find(env, key, size);
  if (i < 0) i = shared_count++;
  if (i >= 64 || size > 64 || value_size > 64) exit(3);
  memcpy(shared[i].key, at(env, key), shared[i].key_size = size);
  memcpy(shared[i].value, at(env, value), shared[i].size = value_size);
  shared[i].cas++;
  return 0;
}
u32 Z_envZ_proxy_define_metric(env_t *env, u32 type, u32 name, u32 size, u32 out) {
  if (++metric_count >= MAX_METRICS) exit(3);
  put(env, out, metric_count);
  return 0;
}
u32 Z_envZ_proxy_increment_metric(env_t *env, u32 id, u64 by) {
  if (id > metric_count) return 2;
  metrics[id] += by;
  return 0;
}
u32 Z_envZ_proxy_record_metric(env_t *env, u32 id, u64 value) {
  if (id > metric_count) return 2;
  metrics[id] = value;
  return 0;
}
u32 Z_envZ_proxy_get_metric(env_t *env, u32 id, u32 out) {
  if (id > metric_count) return 1;
  memcpy(at(env, out), &metrics[id], 8);
  return 0;
}
u32 Z_envZ_proxy_http_call(env_t *env, u32 c, u32 cn, u32 h, u32 hn, u32 b, u32 bn, u32 t, u32 tn,
                           u32 ms, u32 out) {
  return 0;
}

static u32 load_file(const char *path, u8 **bytes) {
  FILE *file = fopen(path, "rb");
  if (!file) exit(3);
  *bytes = malloc(1 << 20);
  return fread(*bytes, 1, 1 << 20, file);
}

int main(int count, char **args) {
  if (count != 6) return 2;
  config.size = load_file(args[1], &config.bytes);
  headers.size = load_file(args[2], &headers.bytes);
  u64 step_ns = strtoull(args[3], 0, 10);
  u32 requests = atoi(args[4]);
  u32 configurations = atoi(args[5]);
  static Z_weir_instance_t guest;
  env_t env = {&guest};
  wasm_rt_init();
  Z_weir_init_module();
  Z_weir_instantiate(&guest, &env);
  Z_weirZ__initialize(&guest);
  for (u32 root = 1; root <= configurations; root++) {
    if (!Z_weirZ_proxy_on_configure(&guest, root, config.size)) return 1;
    if (root > 1) Z_weirZ_proxy_on_delete(&guest, root - 1);
  }
  for (u32 i = 0; i < requests; i++) {
    now_ns += step_ns;
    Z_weirZ_proxy_on_request_headers(&guest, 1000 + i, 12, 1);
    Z_weirZ_proxy_on_delete(&guest, 1000 + i);
  }
  printf("%u refused, %u written, %u defined\n", refused, written, metric_count);
  return 0;
}
