import { type Headers, valuesOf } from "../host/header-map.ts";
import type { Worker } from "../host/worker.ts";
import { configuredProxy, fullConfig } from "./module.ts";

/** One worker of a filter whose one route is edited. */
export function worker(name: string, edit: (route: any) => void = () => {}): Worker {
  const config = fullConfig();
  edit(config.routes[0]);
  return configuredProxy(name, config).workers[0] as Worker;
}

/** All values of a header, in one text. */
export const value = (headers: Headers, name: string): string => valuesOf(headers, name).join("|");
