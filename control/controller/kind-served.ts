import { type KubeClient, KubeError, pause } from "../kube/index.ts";

/** A kind that the cluster does not know is looked for again after this. */
const absentMs = 30_000;

/**
 * Whether the cluster knows a kind and lets this service list it; waits while
 * the API server is away. Where it does not, `again` is called in half a minute:
 * kinds are installed and rights given later.
 */
export async function isThere(
  client: KubeClient,
  path: string,
  signal: AbortSignal,
  again: () => void,
): Promise<"yes" | "no" | "forbidden"> {
  const there = await ask(client, path, signal);
  if (there !== "yes") void pause(absentMs, signal).then(() => (signal.aborted ? {} : again()));
  return there;
}

async function ask(
  client: KubeClient,
  path: string,
  signal: AbortSignal,
): Promise<"yes" | "no" | "forbidden"> {
  for (;;) {
    try {
      return (await client.get(`${path}?limit=1`)) === undefined ? "no" : "yes";
    } catch (error) {
      if (signal.aborted) return "yes";
      if (error instanceof KubeError && error.status === 403) return "forbidden";
      await pause(1_000, signal);
    }
  }
}
