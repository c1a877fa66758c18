import { isTransient, type KubeClient, KubeError } from "../kube/index.ts";
import { errorText } from "../text/error-text.ts";
import { type ApplyProblem, applyObject, type DriftPolicy } from "./apply.ts";
import { eachOf } from "./concurrently.ts";
import type { Wanted } from "./desired.ts";
import type { Live, Managed } from "./managed.ts";
import { type Put, steps } from "./plan.ts";
import { filterRank, kindOf, pathOf, routeRank } from "./resources.ts";

/** What one pass works with. */
export interface PassContext {
  client: KubeClient;
  managed: Managed;
  policy: DriftPolicy;
  /** Objects that are no longer referenced stay for this long: proxies follow a moment later. */
  settleMs: number;
  /** When what was let go of may go, by key and digest; kept from pass to pass. */
  due: Map<string, number>;
  /** Nothing is deleted: what is wanted is not known. */
  keeps?: boolean;
  nowMs(): number;
  /** False once another replica leads: nothing more is written. */
  leads(): boolean;
}

/** What a pass found, by route. */
export interface PassResult {
  problems: Map<string, ApplyProblem[]>;
  corrected: Map<string, string[]>;
  /** Why the pass has to be repeated: the API server's message. */
  trouble: string | undefined;
  /** When there is more to do, though nothing changes. */
  nextMs: number | undefined;
}

/**
 * Brings the cluster to what is wanted: rank by rank upwards for what comes and
 * changes, downwards for what goes. A route whose earlier object failed gets no
 * later one, so that no match is ever without its subset.
 */
export async function runPass(context: PassContext, wanted: Wanted): Promise<PassResult> {
  const { managed, due, nowMs } = context;
  const result: PassResult = {
    problems: new Map(),
    corrected: new Map(),
    trouble: undefined,
    nextMs: undefined,
  };
  const settled = (key: string, digest: string) =>
    (due.get(`${key} ${digest}`) ?? Infinity) <= nowMs();
  const plan = steps(wanted, managed, ({ object }) => kindOf(object).rank, settled);
  const failed = new Set<string>();
  /** Routes whose matches may still be what they were: what those lead to stays. */
  const behind = new Set<string>();
  const remains = (desired: Put["desired"], { reason }: ApplyProblem) => {
    if (reason !== "Paused") for (const name of desired.routes) failed.add(name);
    else if (desired.rank === routeRank) for (const name of desired.routes) behind.add(name);
  };

  const put = async ({ desired, drift }: Put): Promise<void> => {
    if (!context.leads() || desired.routes.some((name) => failed.has(name))) return;
    if (drift !== undefined && context.policy === "pause") {
      const message = `${desired.key} was edited at spec${drift} and is kept as it is (--drift pause)`;
      const problem: ApplyProblem = { reason: "Paused", message };
      add(result.problems, desired.routes, problem);
      remains(desired, problem);
      return;
    }
    try {
      const isKnown = managed.get(desired.key) !== undefined;
      const outcome = await applyObject(context.client, desired, context.policy, isKnown);
      if (outcome.object) managed.note(outcome.object);
      if (outcome.problem) {
        add(result.problems, desired.routes, outcome.problem);
        remains(desired, outcome.problem);
      } else if (outcome.corrected ?? drift)
        add(result.corrected, desired.routes, outcome.corrected ?? `${desired.key}: spec${drift}`);
    } catch (error) {
      for (const name of desired.routes) failed.add(name);
      noteTrouble(result, error);
    }
  };

  for (const puts of byRank(plan.puts, ({ desired }) => desired.rank)) {
    // The API server is away: what is left comes when it is back, in the same order.
    if (result.trouble !== undefined) break;
    await eachOf(puts, put);
  }
  for (const { desired, widened } of plan.puts)
    if (widened && !desired.routes.some((name) => failed.has(name) || behind.has(name)))
      letGo(context, `${desired.key} ${wanted.objects.get(desired.key)?.digest}`);
  forgetDone(due, wanted, plan.deletes);

  /** By a match that is not as wanted: it could not be changed, or goes itself. */
  const isUsed = (live: Live) =>
    live.routes.some((name) => failed.has(name) || behind.has(name)) ||
    [...managed.all()].some(
      ([key, other]) =>
        kindOf(other.object).rank === routeRank &&
        !wanted.objects.has(key) &&
        other.routes.some((name) => live.routes.includes(name)),
    );
  for (const deletes of byRank(plan.deletes, ([, { object }]) => -kindOf(object).rank)) {
    if (result.trouble !== undefined || context.keeps) break;
    await eachOf(deletes, async ([key, live]) => {
      if (!context.leads() || !mayGo(context, key, live, isUsed)) return;
      try {
        const { uid } = live.object.metadata;
        await context.client.delete(pathOf(live.object), uid ? { uid } : undefined);
        managed.gone(key);
      } catch (error) {
        // Another object of that name: the next pass sees it.
        if (!(error instanceof KubeError && error.status === 409)) noteTrouble(result, error);
      }
    });
  }
  const waits = [...due.values()].filter((at) => at > nowMs());
  if (waits.length > 0) result.nextMs = Math.min(...waits);
  return result;
}

/** What routes refer to goes only after the proxies had time to follow the routes. */
function mayGo(
  context: PassContext,
  key: string,
  live: Live,
  isUsed: (live: Live) => boolean,
): boolean {
  if (kindOf(live.object).rank >= filterRank) return true;
  return !isUsed(live) && letGo(context, `${key} gone`);
}

/** Starts the wait; returns whether it is over. */
function letGo({ due, nowMs, settleMs }: PassContext, id: string): boolean {
  let at = due.get(id);
  if (at === undefined) {
    at = nowMs() + settleMs;
    due.set(id, at);
  }
  return at <= nowMs();
}

function forgetDone(due: Map<string, number>, wanted: Wanted, deletes: [string, Live][]): void {
  const open = new Set(deletes.map(([key]) => `${key} gone`));
  for (const { key, digest } of wanted.objects.values()) open.add(`${key} ${digest}`);
  for (const id of due.keys()) if (!open.has(id)) due.delete(id);
}

function byRank<T>(items: readonly T[], rank: (item: T) => number): T[][] {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(rank(item));
    if (group) group.push(item);
    else groups.set(rank(item), [item]);
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => group);
}

function add<T>(to: Map<string, T[]>, names: readonly string[], value: T): void {
  for (const name of names) {
    const list = to.get(name);
    if (list) list.push(value);
    else to.set(name, [value]);
  }
}

function noteTrouble(result: PassResult, error: unknown): void {
  const message = errorText(error);
  if (isTransient(error) || result.trouble === undefined) result.trouble = message;
}
