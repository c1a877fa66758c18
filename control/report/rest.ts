import type { Counter } from "../gen/weir/v1/report_pb.ts";
import { counterNames } from "./names.ts";
import { namespaceOf } from "./places.ts";

/** What of one report has no place of its own: a sum by namespace and counter. */
export interface RestCounter {
  namespace: string;
  name: string;
  value: number;
}

const known: ReadonlySet<string> = new Set(Object.values(counterNames));
const ending = "/(rest)";

/** Under this name, which no route has, a namespace's counters are summed that have no place of their own. */
export const restOf = (namespace: string) => `${namespace}${ending}`;

/** Namespace of such a name; undefined for a route's. */
export function restNamespace(route: string): string | undefined {
  return route.endsWith(ending) ? route.slice(0, -ending.length) : undefined;
}

/** The message for a namespace that has no room for more series. */
export function fullMessage(namespace: string, maxSeries: number): string {
  const whose = namespace === "" ? "of too many namespaces" : `of the namespace ${namespace}`;
  return `reports ${whose} have more than the maximum of ${maxSeries} series: further ones are counted together as ${restOf(namespace)} until series of deleted routes and tenants are dropped`;
}

export function createRest() {
  const sums = new Map<string, RestCounter>();
  return {
    add({ name, route, value, tenant }: Counter): void {
      // What is counted once more for a tenant is in its route's counters.
      if (tenant !== "") return;
      const namespace = namespaceOf(route);
      const kind = known.has(name) ? name : "other";
      const sum = sums.get(`${namespace}\0${kind}`) ?? { namespace, name: kind, value: 0 };
      sum.value += Number(value);
      sums.set(`${namespace}\0${kind}`, sum);
    },
    counters: (): RestCounter[] => [...sums.values()],
  };
}
