/** Proxies that are remembered by name; beyond that they are only counted. */
const maxNames = 5;
const maxProxies = 20_000;

/**
 * Keeps the configuration of proxies while the store is new: a store that was never
 * written to does not mean that all routes were deleted. It may be a volume that did
 * not mount, another directory or prefix, or memory after a restart.
 */
export interface Hold {
  /** Passes the state of the store; any stored change ends the hold. */
  stored(list: { sequence: bigint }): void;
  /** A proxy shows that it runs a configuration: by the versions it comes with, or by a report. */
  runs(node: string): void;
  /** Whether nothing is sent to proxies, because one of them runs routes that the store does not have. */
  holds(): boolean;
  /** Why nothing is sent; undefined while proxies are served. */
  reason(): string | undefined;
}

export interface HoldOptions {
  /** The store, as it was named. */
  store: string;
  /** Whether an empty store is accepted. */
  acceptEmpty?: boolean | undefined;
  log(line: string, code?: string): void;
}

/** Keeps a store that is new, and so empty, from taking the configuration of proxies that run one. */
export function createHold({ store, acceptEmpty, log }: HoldOptions): Hold {
  /** Nothing was ever written to the store, as far as it was read. */
  let isNew = false;
  const running = new Set<string>();
  const holds = () => isNew && running.size > 0;

  function reason(): string | undefined {
    if (!holds()) return undefined;
    const names = [...running].slice(0, maxNames).join(", ");
    const more = running.size > maxNames ? ", ..." : "";
    const proxies = running.size === 1 ? "1 proxy runs" : `${running.size} proxies run`;
    return `the store ${store} is new and empty, but ${proxies} a configuration (${names}${more}): nothing is sent to proxies until a route is applied or a backup is imported; start with --accept-empty to remove their routes`;
  }

  return {
    stored({ sequence }) {
      const before = holds();
      // Routes without a number are of an import that is under way.
      isNew = !acceptEmpty && sequence === 0n;
      if (before && !holds())
        log("the store is no longer empty: its configuration is sent to the proxies", "hold-ended");
      if (!isNew) running.clear();
    },
    runs(node) {
      if (!isNew || running.size >= maxProxies || running.has(node)) return;
      running.add(node);
      if (running.size === 1) log(reason() ?? "", "hold-empty");
    },
    holds,
    reason,
  };
}
