import type { StoreKind } from "../options.ts";
import type { Disturbance } from "../world.ts";
import { callerDisturbances } from "./callers.ts";
import { connectionDisturbances } from "./connections.ts";
import { machineDisturbances } from "./machines.ts";
import { proxyDisturbances } from "./proxies.ts";

export const disturbances: readonly Disturbance[] = [
  ...proxyDisturbances,
  ...connectionDisturbances,
  ...callerDisturbances,
  ...machineDisturbances,
];

/**
 * Those that are done to a control service on this store.
 * @param only names, with commas in between; "" stands for all, "none" for an undisturbed run
 * @throws RangeError for a name that there is not
 */
export function disturbancesFor(store: StoreKind, only = ""): Disturbance[] {
  const fit = disturbances.filter((each) => each.store === undefined || each.store === store);
  if (only === "") return fit;
  if (only === "none") return [];
  const names = only.split(",");
  const unknown = names.find((name) => !disturbances.some((each) => each.name === name));
  if (unknown !== undefined)
    throw new RangeError(
      `no disturbance is called ${unknown}: known are ${disturbances.map(({ name }) => name).join(", ")}`,
    );
  return fit.filter(({ name }) => names.includes(name));
}
