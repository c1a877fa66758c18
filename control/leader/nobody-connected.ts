/** What a rollout waits for where no proxy is seen: of several replicas one may see none because it follows no other. */
export function nobodyConnected(
  replica: string,
  fence: bigint | undefined,
  others: string[],
): string {
  const nobody = "no proxy is connected";
  // A store of one process has no fence.
  return !fence || others.length > 0
    ? nobody
    : `${nobody} to the leader ${replica}, which has no connection to other replicas (--peer)`;
}
