import {
  type Controller,
  type ControllerOptions,
  createController,
} from "../../control/controller/index.ts";
import type { RenderOptions } from "../../control/istio/index.ts";
import { createSoleLeader } from "../../control/leader/index.ts";
import { createKubeStore, type KubeStore } from "../../control/store/index.ts";
import type { Cluster } from "./cluster.ts";
import { eventually } from "./processes.ts";

/** A store and a controller on a cluster, as one control service has them. */
export interface Controlled {
  store: KubeStore;
  controller: Controller;
  log: string[];
  close(): Promise<void>;
}

export function control(
  cluster: Cluster,
  options: Partial<ControllerOptions> & { render?: RenderOptions } = {},
): Controlled {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const client = cluster.client();
  const store = createKubeStore({ client: cluster.client(), namespace: "weir-system", log });
  const controller = createController({
    client,
    store,
    leader: createSoleLeader("test"),
    render: {},
    instance: "weir",
    drift: "correct",
    settleMs: 300,
    log,
    ...options,
  });
  return {
    store,
    controller,
    log: lines,
    async close() {
      await controller.close();
      await store.close();
      client.close();
    },
  };
}

type Json = Record<string, unknown>;

/** An object as kubectl gives it; undefined when there is none. */
export async function get(cluster: Cluster, kind: string, name: string): Promise<Json | undefined> {
  const [namespace = "", local = ""] = name.split("/");
  const args = ["get", kind, local, "-n", namespace, "-o", "json", "--show-managed-fields"];
  const { code, stdout } = await cluster.kubectl(args);
  return code === 0 ? (JSON.parse(stdout) as Json) : undefined;
}

export interface ConditionSeen {
  type: string;
  status: string;
  reason: string;
  message: string;
}

/** Waits until a condition of a route is as wanted. */
export function condition(
  cluster: Cluster,
  name: string,
  type: string,
  wanted: Partial<ConditionSeen>,
): Promise<ConditionSeen> {
  let last: unknown;
  return eventually(
    async () => {
      const status = (await get(cluster, "inferenceroute", name))?.status as
        | { conditions?: ConditionSeen[] }
        | undefined;
      const found = status?.conditions?.find((each) => each.type === type);
      last = status;
      const fits =
        found &&
        Object.entries(wanted).every(([field, value]) => found[field as "status"] === value);
      return fits ? found : undefined;
    },
    `${type} of ${name} is ${JSON.stringify(wanted)}`,
  ).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error}: ${JSON.stringify(last)}`);
  });
}
