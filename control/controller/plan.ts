import type { JsonObject } from "@bufbuild/protobuf";
import { type Desired, desired, type Wanted } from "./desired.ts";
import { difference } from "./drift.ts";
import type { Live, Managed } from "./managed.ts";
import { filterRank } from "./resources.ts";

/** An object to apply now. */
export interface Put {
  desired: Desired;
  /** Path of what was edited, where the object already was as Weir meant it. */
  drift?: string;
  /** The wanted object has fewer parts than this one: it is applied when the rest is unused. */
  widened?: true;
}

export interface Steps {
  /** In the order to apply. */
  puts: Put[];
  /** What is to go, in the order to delete. */
  deletes: [string, Live][];
}

/**
 * What has to be done to get from the objects that are there to the wanted
 * ones. Subsets that no one should use any more are kept until settled says so.
 * @param settled whether the routes of an object have let go of what it had
 */
export function steps(
  wanted: Wanted,
  managed: Pick<Managed, "get" | "all">,
  rankOf: (live: Live) => number,
  settled: (key: string, digest: string) => boolean,
): Steps {
  const puts: Put[] = [];
  for (const each of wanted.objects.values()) {
    const live = managed.get(each.key);
    const found = live ? difference(each.object.spec, live.object.spec) : "";
    const meant = live?.digest === each.digest;
    if (live && meant && found === undefined) continue;
    if (live && meant && found !== undefined) puts.push({ desired: each, drift: found });
    else {
      const wide = live && !settled(each.key, each.digest) ? widened(each, live) : undefined;
      if (wide === undefined) puts.push({ desired: each });
      else if (live?.digest !== wide.digest || difference(wide.object.spec, live.object.spec))
        puts.push({ desired: wide, widened: true });
    }
  }
  const deletes = [...managed.all()]
    .filter(
      ([key, live]) =>
        !wanted.objects.has(key) &&
        !staysAsItIs(live, wanted, rankOf(live)) &&
        live.object.metadata.deletionTimestamp === undefined,
    )
    .sort(([, a], [, b]) => rankOf(b) - rankOf(a));
  return { puts, deletes };
}

/**
 * What belongs to a route that cannot be rendered now stays as it is, and so do subsets that it
 * shares with others. Filters and matches that it shares go once those have theirs: no request
 * may meet both.
 */
function staysAsItIs({ routes }: Live, { problems }: Wanted, rank: number): boolean {
  const isHeld = (name: string) => problems.has(name);
  return rank < filterRank ? routes.some(isHeld) : routes.length > 0 && routes.every(isHeld);
}

/** The wanted object with the subsets that are there and not wanted; undefined when there are none. */
function widened(wanted: Desired, live: Live): Desired | undefined {
  const subsets = (spec: unknown) =>
    ((spec as JsonObject | undefined)?.subsets ?? []) as JsonObject[];
  const names = new Set(subsets(wanted.object.spec).map(({ name }) => name));
  const extra = subsets(live.object.spec).filter(({ name }) => !names.has(name));
  if (wanted.object.kind !== "DestinationRule" || extra.length === 0) return undefined;
  const { object } = wanted;
  const instance = object.metadata.labels["weir.dev/instance"] ?? "";
  const spec = { ...object.spec, subsets: [...subsets(object.spec), ...extra] };
  return desired({ ...object, spec }, instance);
}
