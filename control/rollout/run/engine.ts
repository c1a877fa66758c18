import { create, equals } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type RolloutProgress,
  RolloutProgressSchema,
  type RolloutSpec,
  type RolloutState,
  type Verdict,
} from "../../gen/weir/v1/rollout_pb.ts";
import type { Applied, RouteState } from "../../gen/weir/v1/service_pb.ts";
import type { Observation, Voices } from "../../report/index.ts";
import { routeName } from "../../route/index.ts";
import { StaleEtagError, type Store } from "../../store/index.ts";
import { errorText } from "../../text/error-text.ts";
import { decide, type GateStatus } from "../machine/machine.ts";
import type { Decision } from "../machine/moves.ts";
import { hasEnded } from "../machine/phase.ts";
import { progressOf } from "./progress.ts";
import { createWatch, type Watch, watchKey } from "./watch.ts";
import { writeRollout } from "./write.ts";

/** What is seen of the proxies. */
export interface ObservedFleet {
  /** How far the proxies are with a route. */
  applied(name: string, state: RouteState): Pick<Applied, "applied" | "wanted" | "behind">;
  observation(route: string): Observation;
  /** The same of each tenant that the proxies measure by itself. */
  tenants(route: string): ReadonlyMap<string, Observation>;
  /** How much of the observation each proxy reported. */
  voices?(route: string): Voices;
  /** Milliseconds since any proxy's filters reported. */
  silentMs(): number;
  /** Message for a fleet without a proxy. */
  nobody?(): string;
}

/** What the engine gets from the rooms around it. */
export interface EngineOptions {
  store: Store;
  fleet: ObservedFleet;
  /** Answers of metric queries, newest first known; absent: there is no such source. */
  queries?(name: string, spec: RolloutSpec): Verdict[];
  /** What must be open before the next step. */
  gates?(name: string, state: RolloutState, route: RouteState): GateStatus[];
  /** The leadership that this replica holds now; undefined while another one acts. Absent: it is alone. */
  leadership?(): { fence: bigint } | undefined;
  /** The replicas that may lead instead of this one. Absent: there are none. */
  others?: {
    /** Last progress of a rollout that the leader sent. */
    progress(name: string): RolloutProgress | undefined;
    onProgress(listener: (name: string) => void): () => void;
    /** Name of the one that leads, as far as it is known. */
    leader(): string | undefined;
  };
  /** A clock that never jumps. */
  monotonicMs(): number;
  now(): Date;
  log(line: string, code?: string): void;
}

/** Walks every rollout that has not ended. */
export interface Engine {
  /** Looks at each of them once. */
  tick(): Promise<void>;
  /** What a rollout is doing, as of the last look. */
  progress(name: string, state: RolloutState): RolloutProgress;
  /** What this replica itself is walking, as of the last look. */
  walking(): RolloutProgress[];
  /** Calls back when there is something new to tell of a rollout. */
  onProgress(listener: (name: string) => void): () => void;
  /** Looks again and again until the result is called. */
  start(everyMs: number): () => void;
}

interface Followed {
  watch: Watch;
  weight: number;
  grownMs: number;
  progress?: RolloutProgress;
}

/** Makes an engine. It does nothing until tick or start is called. */
export function createEngine(options: EngineOptions): Engine {
  const { store, fleet, monotonicMs, now, log } = options;
  const followed = new Map<string, Followed>();
  const listeners = new Set<(name: string) => void>();

  function follow(name: string, state: RolloutState, route: RouteState | undefined): Followed {
    const key = watchKey(state, route);
    const known = followed.get(name);
    if (known?.watch.key === key) return known;
    const nowMs = monotonicMs();
    const startedMs = state.stepStarted ? timestampDate(state.stepStarted).getTime() : 0;
    const agedMs = Math.max(0, now().getTime() - startedMs);
    const grew = known === undefined || state.weight > known.weight;
    const entry: Followed = {
      watch: createWatch(key, nowMs, agedMs),
      weight: state.weight,
      grownMs: grew ? nowMs : known.grownMs,
    };
    followed.set(name, entry);
    return entry;
  }

  async function walk(name: string, state: RolloutState): Promise<void> {
    const route = await store.get(name);
    const entry = follow(name, state, route);
    const nowMs = monotonicMs();
    const spec = state.rollout?.spec as RolloutSpec;
    const inputs = entry.watch.look(
      state,
      {
        route,
        applied: route ? fleet.applied(name, route) : { applied: 0, wanted: 0, behind: [] },
        observation: fleet.observation(name),
        tenants: fleet.tenants(name),
        ...(fleet.voices ? { voices: fleet.voices(name) } : {}),
        silentMs: fleet.silentMs(),
        queries: options.queries?.(name, spec) ?? [],
        gates: route ? (options.gates?.(name, state, route) ?? []) : [],
        ...(fleet.nobody ? { nobody: fleet.nobody() } : {}),
      },
      nowMs,
      nowMs - entry.grownMs,
    );
    const decision = decide(state, inputs);
    tell(name, entry, progressOf(state, inputs, decision, entry.watch.window()));
    if (decision.kind === "write") await act(name, state, route, decision);
  }

  async function act(
    name: string,
    before: RolloutState,
    route: RouteState | undefined,
    { state, action, reason, movesWeights }: Extract<Decision, { kind: "write" }>,
  ): Promise<void> {
    if (state.step !== before.step) state.stepStarted = timestampFromDate(now());
    try {
      const author = { principal: "rollout", reason, ...options.leadership?.() };
      const moved = movesWeights ? route : undefined;
      await writeRollout(store, name, { before, after: state, route: moved, action, author });
      log(`rollout of ${name}: ${action.replace("rollout-", "")}: ${reason}`);
    } catch (error) {
      // Someone else wrote first; what they wrote is looked at next.
      if (!(error instanceof StaleEtagError)) throw error;
    }
  }

  function tell(name: string, entry: Followed, progress: RolloutProgress): void {
    if (entry.progress && equals(RolloutProgressSchema, entry.progress, progress)) return;
    entry.progress = progress;
    for (const listener of listeners) listener(name);
  }

  async function tick(): Promise<void> {
    if (options.leadership && options.leadership() === undefined) {
      // Whoever leads next gathers evidence of its own.
      followed.clear();
      return;
    }
    for (const state of await store.listRollouts()) {
      const name = routeName(state.rollout);
      if (hasEnded(state)) {
        if (followed.delete(name)) for (const listener of listeners) listener(name);
        continue;
      }
      try {
        await walk(name, state);
      } catch (error) {
        // One rollout that cannot be looked at now must not stop the others.
        log(`rollout of ${name}: ${errorText(error)}`, "rollout-failed");
      }
    }
  }

  /** Progress before a leader has evaluated a state. */
  function unseen(state: RolloutState): RolloutProgress {
    const { others } = options;
    if (others === undefined || options.leadership?.() !== undefined || hasEnded(state))
      return create(RolloutProgressSchema, { state });
    const leader = others.leader();
    const message = leader
      ? `the leader ${leader}, to which this replica has no connection (--peer)`
      : "a leader: no replica leads now";
    return create(RolloutProgressSchema, { state, waitingFor: [message] });
  }

  return {
    tick,
    progress(name, state) {
      const known = [followed.get(name)?.progress, options.others?.progress(name)];
      return known.find((each) => each?.state?.etag === state.etag) ?? unseen(state);
    },
    walking: () => [...followed.values()].flatMap(({ progress }) => progress ?? []),
    onProgress(listener) {
      listeners.add(listener);
      const stop = options.others?.onProgress(listener);
      return () => {
        listeners.delete(listener);
        stop?.();
      };
    },
    start(everyMs) {
      let timer: NodeJS.Timeout | undefined;
      let stopped = false;
      const again = async () => {
        await tick().catch((error: unknown) =>
          log(`rollouts: ${errorText(error)}`, "rollout-failed"),
        );
        if (!stopped) timer = setTimeout(again, everyMs);
      };
      timer = setTimeout(again, everyMs);
      return () => {
        stopped = true;
        clearTimeout(timer);
      };
    },
  };
}
