import {
  collectionPath,
  type KubeClient,
  KubeError,
  type KubeObject,
  objectPath,
  type Resource,
} from "../kube/index.ts";
import type { Lease } from "./leader.ts";

const leases: Resource = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", plural: "leases" };
const fieldManager = "weir-leader";

/**
 * The lead as a Kubernetes Lease. The fence is the version that the API server
 * gave the Lease when it was taken: it grows with every write to the cluster,
 * also when someone deletes the Lease.
 * @param name of this replica
 * @param ttlMs whole seconds
 */
export function createKubeLease(
  client: KubeClient,
  namespace: string,
  lease: string,
  name: string,
  ttlMs: number,
  monotonicMs: () => number = () => performance.now(),
): Lease {
  const path = objectPath(leases, namespace, lease);
  let mine: KubeObject | undefined;
  /** The other's Lease as seen last, and since when it is unchanged by this clock. */
  let seen = { version: "", sinceMs: 0 };

  const holderOf = (object: KubeObject) => String(object.spec?.holderIdentity ?? "");
  const spec = (before: KubeObject | undefined, holder: string) => {
    const now = new Date().toISOString().replace("Z", "000Z");
    const same = before !== undefined && holderOf(before) === holder;
    const transitions = Number(before?.spec?.leaseTransitions ?? 0);
    return {
      holderIdentity: holder,
      leaseDurationSeconds: Math.max(1, Math.ceil(ttlMs / 1000)),
      acquireTime: same ? before?.spec?.acquireTime : now,
      renewTime: now,
      leaseTransitions: same ? transitions : transitions + 1,
    };
  };

  /** Undefined when someone else wrote since. */
  async function write(before: KubeObject | undefined, holder: string) {
    const object = {
      apiVersion: leases.apiVersion,
      kind: leases.kind,
      metadata: before?.metadata ?? { name: lease, namespace },
      spec: spec(before, holder),
    };
    try {
      return before === undefined
        ? await client.create(collectionPath(leases, namespace), object, { fieldManager })
        : await client.replace(path, object, { fieldManager });
    } catch (error) {
      if (error instanceof KubeError && (error.status === 409 || error.status === 404))
        return undefined;
      throw error;
    }
  }

  /** Whether its holder let it run out, by this process's clock alone. */
  function ranOut(object: KubeObject): boolean {
    const version = object.metadata.resourceVersion ?? "";
    if (seen.version !== version) seen = { version, sinceMs: monotonicMs() };
    const durationMs = Number(object.spec?.leaseDurationSeconds ?? 0) * 1000;
    return monotonicMs() - seen.sinceMs > durationMs;
  }

  return {
    async take() {
      const found = await client.get(path);
      const holder = found ? holderOf(found) : "";
      if (found && holder !== "" && !ranOut(found)) return { holder };
      mine = await write(found, name);
      return mine ? { fence: BigInt(mine.metadata.resourceVersion ?? 0) } : { holder: "" };
    },
    async renew() {
      for (let tries = 0; tries < 3 && mine; tries++) {
        const written = await write(mine, name);
        if (written) {
          mine = written;
          return true;
        }
        // Perhaps only its labels were edited.
        const found = await client.get(path);
        mine = found && holderOf(found) === name ? found : undefined;
      }
      return false;
    },
    async release() {
      const last = mine;
      mine = undefined;
      if (last) await write(last, "");
    },
  };
}
