import { follow, isTransient, type KubeClient, type KubeObject, pause } from "../../kube/index.ts";
import { errorText } from "../../text/error-text.ts";
import { StoreUnavailableError } from "../store.ts";
import { allRoutesPath, changesPath } from "./names.ts";
import { patienceMs } from "./write.ts";

/** What is followed of a kind, in order. */
export interface Attention {
  /** The API server cannot be followed, or can again (undefined). */
  trouble?(reason: string | undefined): void;
  replace(objects: KubeObject[]): void;
  changed(type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void;
}

/** Follows a path until the signal aborts; resolves once the first list was handed over. */
export function attend(
  client: KubeClient,
  path: string,
  on: Attention,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  let trouble: string | undefined;
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve());
    const follower = {
      changed: on.changed,
      replace(objects: KubeObject[]) {
        on.replace(objects);
        resolve();
      },
      trouble(reason: string | undefined) {
        if (reason !== undefined && trouble === undefined) say(`cannot follow ${path}: ${reason}`);
        if (reason === undefined && trouble !== undefined) say(`following ${path} again`);
        trouble = reason;
        on.trouble?.(reason);
      },
    };
    void follow(client, path, "", follower, signal);
  });
}

/**
 * Errors that waiting does not cure are reported at once: resources that are not installed,
 * a service account that may not read them.
 * @throws StoreUnavailableError
 */
export async function probe(
  client: KubeClient,
  namespace: string,
  signal: AbortSignal,
): Promise<void> {
  const until = Date.now() + patienceMs;
  for (const path of [changesPath(namespace), allRoutesPath])
    for (;;) {
      try {
        if ((await client.get(`${path}?limit=1`)) !== undefined) break;
        throw new StoreUnavailableError(
          `the cluster does not serve ${path}: install Weir's custom resources first (kubectl apply -f istio/chart/crds/crds.yaml)`,
        );
      } catch (error) {
        if (signal.aborted) return;
        if (!isTransient(error) || Date.now() > until)
          throw new StoreUnavailableError(errorText(error));
        await pause(500, signal);
      }
    }
}
