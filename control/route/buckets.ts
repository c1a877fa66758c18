import { create } from "@bufbuild/protobuf";
import { type BucketRun, BucketRunSchema } from "../gen/weir/v1/filter_pb.ts";
import type { Variant } from "../gen/weir/v1/route_pb.ts";
import { type Move, MoveSchema } from "../gen/weir/v1/service_pb.ts";
import { bucketCount, toBuckets, toPercent } from "./weights.ts";

/** A variant's name and weight; weights sum to 100. */
export type Share = Pick<Variant, "name" | "weight">;

/**
 * Lays the 10,000 buckets out for the first time: everyone is with the first
 * variant, and the others take their shares from it.
 */
export function initialBuckets(shares: readonly Share[]): BucketRun[] {
  const first = shares[0];
  if (first === undefined) return [];
  return shiftBuckets([run(first.name, bucketCount)], shares);
}

/**
 * The table after a change of weights: moves exactly as many buckets as the
 * change asks for, half of the sum of its absolute differences.
 *
 * The first variant gives and takes at its high end, the others at their low
 * end, so what a growing canary took last is what a shrinking one gives back
 * first: no user goes back and forth. A pure function of its arguments, so
 * that every replica lays out the same table.
 */
export function shiftBuckets(runs: readonly BucketRun[], shares: readonly Share[]): BucketRun[] {
  const table = expand(runs);
  const wanted = new Map(shares.map((share) => [share.name, toBuckets(share.weight)]));
  const have = count(table);
  const first = shares[0]?.name;
  const released: number[] = [];
  for (const [name, buckets] of have) {
    const surplus = buckets - (wanted.get(name) ?? 0);
    if (surplus <= 0) continue;
    const own = positions(table, name);
    released.push(...(name === first ? own.slice(-surplus) : own.slice(0, surplus)));
  }
  released.sort((a, b) => a - b);
  // Takers in the order of the document; the first variant takes the lowest buckets.
  let next = 0;
  for (const share of shares) {
    const deficit = toBuckets(share.weight) - (have.get(share.name) ?? 0);
    for (let i = 0; i < deficit; i++) {
      const bucket = released[next++];
      if (bucket !== undefined) table[bucket] = share.name;
    }
  }
  return compact(table);
}

/** Who changes variant between two tables: percent of all users by (from, to), largest first. */
export function movesBetween(before: readonly BucketRun[], after: readonly BucketRun[]): Move[] {
  const old = expand(before);
  const now = expand(after);
  const moved = new Map<string, { from: string; to: string; buckets: number }>();
  old.forEach((from, bucket) => {
    const to = now[bucket] ?? from;
    if (from === to) return;
    const key = `${from} ${to}`;
    const entry = moved.get(key) ?? { from, to, buckets: 0 };
    entry.buckets++;
    moved.set(key, entry);
  });
  return [...moved.values()]
    .sort((a, b) => b.buckets - a.buckets)
    .map(({ from, to, buckets }) => create(MoveSchema, { from, to, percent: toPercent(buckets) }));
}

function run(variant: string, count: number): BucketRun {
  return create(BucketRunSchema, { variant, count });
}

function expand(runs: readonly BucketRun[]): string[] {
  return runs.flatMap(({ variant, count }) => Array<string>(count).fill(variant));
}

function count(table: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of table) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function positions(table: readonly string[], name: string): number[] {
  return table.flatMap((each, bucket) => (each === name ? [bucket] : []));
}

function compact(table: readonly string[]): BucketRun[] {
  const runs: BucketRun[] = [];
  for (const name of table) {
    const last = runs.at(-1);
    if (last?.variant === name) last.count++;
    else runs.push(run(name, 1));
  }
  return runs;
}
