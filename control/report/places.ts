/** How many of something may be kept. */
export interface PlaceLimits {
  /** Of one namespace. */
  maxOfOne: number;
  /** Of all namespaces. Beyond it a namespace gets what is granted to it, and no more. */
  maxOfAll: number;
  /** What a namespace may have whatever the others have. */
  granted: number;
}

/** Slots per namespace: a namespace that uses all it can leaves the slots of the others. */
export interface Places {
  /** Takes a place; false where the namespace has all that it may have. */
  take(namespace: string): boolean;
  giveBack(namespace: string, count: number): void;
  /** Places taken, by namespace. */
  taken(): ReadonlyMap<string, number>;
}

/** Maximum number of namespaces with slots of their own. */
const maxNamespaces = 1_000;

export function createPlaces({ maxOfOne, maxOfAll, granted }: PlaceLimits): Places {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    take(namespace) {
      const own = taken.get(namespace) ?? 0;
      if (own >= maxOfOne || (all >= maxOfAll && own >= granted)) return false;
      if (own === 0 && taken.size >= maxNamespaces) return false;
      taken.set(namespace, own + 1);
      all++;
      return true;
    },
    giveBack(namespace, count) {
      const own = taken.get(namespace) ?? 0;
      const back = Math.min(own, count);
      all -= back;
      if (own === back) taken.delete(namespace);
      else taken.set(namespace, own - back);
    },
    taken: () => taken,
  };
}

/** Namespace of a route's name. */
export function namespaceOf(route: string): string {
  return route.split("/", 1)[0] ?? "";
}
