import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LeaseSchema, Need } from "../gen/weir/v1/report_pb.ts";
import { splitByNeed } from "./share-by-need.ts";

/** A fleet-wide limit, in requests per second; undefined where there is none. */
export type LimitOf = (route: string, tenant: string) => number | undefined;

/** A proxy's share of one limit. */
export type Lease = MessageInitShape<typeof LeaseSchema>;

/** One proxy's part of a limit, as it stands. */
export interface Share {
  route: string;
  tenant: string;
  node: string;
  /** Requests per second that it asked for lately. */
  wanted: number;
  /** Requests per second it may admit. */
  granted: number;
}

/** Splits fleet-wide limits among the proxies that report. */
export interface Budgets {
  /** Takes a proxy's needs and answers with its shares of the limits that are decided here. */
  report(node: string, needs: readonly Need[]): Lease[];
  /** All shares, for display. */
  shares(): Share[];
}

interface Part {
  /** Requests per second. */
  wanted: number;
  /** The share last answered, which the proxy may have or not. */
  granted: number;
  /** The share that it reported to have. */
  held: number;
  reportedMs: number;
}

/**
 * Milliseconds of silence after which the share of a proxy goes to others. A proxy that is only cut
 * off goes on with it all the same.
 */
export const goneMs = 10_000;

/**
 * Milliseconds after the start of the control service in which no proxy gets more than it says it
 * has: others may have the rest.
 */
export const learningMs = 3_000;
/** Minimum share of the limit, so that a proxy can report that it needs more. */
const minShareOfRate = 0.001;
/** More tenants than this in one report are not ours. */
const maxNeeds = 2_000;
/** A need counts at once when it grows, and with this weight of the new when it shrinks. */
const shrinking = 0.7;

export interface BudgetOptions {
  /** Which tenants' limits this replica splits; it also records the others, in case it takes them over. */
  decides?(tenant: string): boolean;
  /** Milliseconds that never go back. */
  nowMs?(): number;
}

/**
 * Budgets of all limits. The shares of a limit never sum to more than the limit:
 * one proxy gets more only once another has said that it has less.
 */
export function createBudgets(
  limitOf: LimitOf,
  { decides = () => true, nowMs = () => performance.now() }: BudgetOptions = {},
): Budgets {
  const limits = new Map<string, Map<string, Part>>();
  const startedMs = nowMs();
  let sweptMs = startedMs;

  const learning = () => nowMs() - startedMs < learningMs;

  function partsOf(route: string, tenant: string): Map<string, Part> {
    const key = `${route}\0${tenant}`;
    const found = limits.get(key) ?? new Map<string, Part>();
    limits.set(key, found);
    return found;
  }

  function note(parts: Map<string, Part>, node: string, { wanted, intervalNs }: Need): Part {
    const atMs = nowMs();
    const before = parts.get(node);
    const seconds = before ? Math.max((atMs - before.reportedMs) / 1000, 0.1) : 1;
    const rate = Number(wanted) / seconds;
    const part = {
      wanted:
        before && rate < before.wanted ? before.wanted + (rate - before.wanted) * shrinking : rate,
      granted: before?.granted ?? 0,
      held: intervalNs === 0n ? 0 : 1e9 / Number(intervalNs),
      reportedMs: atMs,
    };
    parts.set(node, part);
    return part;
  }

  function forget(parts: Map<string, Part>): void {
    for (const [node, { reportedMs }] of parts)
      if (nowMs() - reportedMs > goneMs) parts.delete(node);
  }

  /** Limits without reports: their routes or all their proxies are gone. */
  function sweep(): void {
    if (nowMs() - sweptMs <= goneMs) return;
    sweptMs = nowMs();
    for (const [key, parts] of limits) {
      forget(parts);
      if (parts.size === 0) limits.delete(key);
    }
  }

  function share(rate: number, parts: Map<string, Part>, node: string, own: Part): number {
    const nodes = [...parts.keys()];
    const fair = splitByNeed(
      rate,
      nodes.map((each) => parts.get(each)?.wanted ?? 0),
    );
    const others = [...parts].reduce(
      (sum, [each, part]) => (each === node ? sum : sum + Math.max(part.granted, part.held)),
      0,
    );
    const upper = learning() ? Math.min(own.held, rate - others) : rate - others;
    return Math.max(Math.min(fair[nodes.indexOf(node)] ?? 0, upper), rate * minShareOfRate);
  }

  /** A need without a report for this long is dropped; proxies with many needs report them in turns. */
  function dropUnnamed(node: string, named: ReadonlySet<string>): void {
    for (const [key, parts] of limits) {
      const reportedMs = named.has(key) ? undefined : parts.get(node)?.reportedMs;
      if (reportedMs !== undefined && nowMs() - reportedMs > goneMs) parts.delete(node);
      if (parts.size === 0) limits.delete(key);
    }
  }

  return {
    report(node, needs) {
      sweep();
      const leases: Lease[] = [];
      const named = new Set<string>();
      for (const need of needs.slice(0, maxNeeds)) {
        const { route, tenant } = need;
        const rate = limitOf(route, tenant);
        if (rate === undefined || rate <= 0) continue;
        named.add(`${route}\0${tenant}`);
        const parts = partsOf(route, tenant);
        forget(parts);
        const own = note(parts, node, need);
        // At first it is not known who else has what: new proxies keep the part they start with.
        if (learning() && own.held === 0) continue;
        if (!decides(tenant)) {
          // Whoever decides now may have given it another share since.
          own.granted = 0;
          continue;
        }
        own.granted = share(rate, parts, node, own);
        leases.push({ route, tenant, intervalNs: BigInt(Math.ceil(1e9 / own.granted)) });
      }
      dropUnnamed(node, named);
      return leases;
    },
    shares: () =>
      [...limits].flatMap(([key, parts]) => {
        const [route = "", tenant = ""] = key.split("\0");
        return [...parts].map(([node, { wanted, granted }]) => ({
          route,
          tenant,
          node,
          wanted,
          granted,
        }));
      }),
  };
}
