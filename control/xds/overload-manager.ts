/** What one proxy may use of its machine. */
export interface ProxyLimits {
  /** Connections of clients, on all listeners together; absent: 10,000. */
  maxConnections?: number;
  /** Bytes of Envoy's heap, from which on it sheds load; absent: 2 GiB. */
  maxHeapBytes?: number;
}

export const limitDefaults = { maxConnections: 10_000, maxHeapBytes: 2 * 1024 ** 3 };

/**
 * Envoy's overload manager: as the heap fills, the proxy first gives memory back and
 * resets the streams that hold most, then lets connections go, then refuses requests,
 * at last connections. Its admin interface is outside of all this.
 */
export function overloadManager(limits: ProxyLimits = {}): object {
  const { maxConnections, maxHeapBytes } = { ...limitDefaults, ...limits };
  return {
    refresh_interval: "0.25s",
    // Streams that hold less than 128 KiB are not worth a reset.
    buffer_factory_config: { minimum_account_to_track_power_of_two: 17 },
    resource_monitors: [
      monitor("fixed_heap", "FixedHeapConfig", "fixed_heap", {
        max_heap_size_bytes: String(maxHeapBytes),
      }),
      monitor(
        "global_downstream_max_connections",
        "DownstreamConnectionsConfig",
        "downstream_connections",
        { max_active_downstream_connections: String(maxConnections) },
      ),
    ],
    actions: [
      action("shrink_heap", at(0.8)),
      // Before requests are refused: a few clients that read nothing must not cost all others theirs.
      action("reset_high_memory_stream", between(0.8, 0.92)),
      action("disable_http_keepalive", at(0.9)),
      action("stop_accepting_requests", at(0.95)),
      // Told at once rather than left in the queue of the kernel.
      action("reject_incoming_connections", at(0.98)),
    ],
  };
}

function monitor(name: string, message: string, package_: string, config: object): object {
  return {
    name: `envoy.resource_monitors.${name}`,
    typed_config: {
      "@type": `type.googleapis.com/envoy.extensions.resource_monitors.${package_}.v3.${message}`,
      ...config,
    },
  };
}

const at = (value: number) => ({ threshold: { value } });
const between = (scaling_threshold: number, saturation_threshold: number) => ({
  scaled: { scaling_threshold, saturation_threshold },
});

function action(name: string, trigger: object): object {
  return {
    name: `envoy.overload_actions.${name}`,
    triggers: [{ name: "envoy.resource_monitors.fixed_heap", ...trigger }],
  };
}
