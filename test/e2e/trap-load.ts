import { gatewayClient } from "./gateway-client.ts";

/** Enough headers for a module that traps on demand. */
export const poison = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`x-${i}`, "y"]));

/** What a load of plain requests got, in order. */
export interface TrapLoad {
  seen: { atMs: number; status: number }[];
  /** Those of them that got 503. */
  refused: { atMs: number; status: number }[];
  /** Status of the first request that trapped, and when it was sent. */
  poisoned: number;
  trappedMs: number;
  /** When the last one was refused. */
  lastMs: number;
}

/**
 * Eight connections that ask without a pause for six seconds, among whose requests some
 * trap from the second second on, half a second apart.
 */
export async function trapLoad(
  name: string,
  url: string,
  path = "/v1/x",
  traps = 1,
): Promise<TrapLoad> {
  const client = gatewayClient(url);
  const seen: TrapLoad["seen"] = [];
  let trappedMs = 0;
  let poisoned = 0;
  const start = performance.now();
  const atMs = () => performance.now() - start;
  const lane = async () => {
    while (atMs() < 6000) {
      const { status } = await client.get(path);
      seen.push({ atMs: atMs(), status });
    }
  };
  const trap = async () => {
    for (let i = 0; i < traps; i++) {
      while (atMs() < 2000 + i * 500) await new Promise((done) => setTimeout(done, 50));
      if (i === 0) trappedMs = atMs();
      const { status } = await client.get(path, { ...poison });
      if (i === 0) poisoned = status;
    }
  };
  await Promise.all([...Array.from({ length: 8 }, lane), trap()]);
  client.close();
  const refused = seen.filter(({ status }) => status === 503);
  const lastMs = refused.at(-1)?.atMs ?? trappedMs;
  console.log(
    `${name}: the request that trapped: ${poisoned}; of ${seen.length} others ${refused.length}`,
    `refused over ${Math.round(lastMs - trappedMs)} ms`,
  );
  return { seen, refused, poisoned, trappedMs, lastMs };
}
