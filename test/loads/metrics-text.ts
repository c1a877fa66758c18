/** A page of metrics in the shape and size of vLLM's: the process's own, its gauges, and some thirty histograms. */
export function vllmMetrics(running: number, waiting: number, cache: number): string {
  const labels = 'engine="0",model_name="meta-llama/Llama-3.3-70B-Instruct"';
  const lines: string[] = [];
  const add = (name: string, type: string, samples: string[]) =>
    lines.push(`# HELP ${name} About ${name}.`, `# TYPE ${name} ${type}`, ...samples);
  for (const name of ["python_gc_objects_collected_total", "python_gc_collections_total"])
    add(
      name,
      "counter",
      ["0", "1", "2"].map((each) => `${name}{generation="${each}"} 9281.0`),
    );
  for (const name of [
    "process_virtual_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
  ])
    add(name, "gauge", [`${name} 1.7e+10`]);
  const gauge = (name: string, value: number) =>
    add(name, "gauge", [`${name}{${labels}} ${value.toFixed(1)}`]);
  gauge("vllm:num_requests_running", running);
  gauge("vllm:num_requests_waiting", waiting);
  gauge("vllm:num_requests_waiting_by_reason", 77);
  add("vllm:kv_cache_usage_perc", "gauge", [`vllm:kv_cache_usage_perc{${labels}} ${cache}`]);
  for (const name of [
    "prompt_tokens",
    "generation_tokens",
    "prefix_cache_queries",
    "num_preemptions",
  ])
    add(`vllm:${name}`, "counter", [`vllm:${name}_total{${labels}} 123456.0`]);
  for (let i = 0; i < 30; i++) {
    const name = `vllm:request_part_${i}_seconds`;
    const buckets = Array.from(
      { length: 20 },
      (_, b) => `${name}_bucket{${labels},le="${0.3 * 1.5 ** b}"} ${b * 120}.0`,
    );
    add(name, "histogram", [
      ...buckets,
      `${name}_count{${labels}} 2400.0`,
      `${name}_sum{${labels}} 9.1`,
    ]);
  }
  return `${lines.join("\n")}\n`;
}
