import { setTimeout as sleep } from "node:timers/promises";
import type { ApiClients } from "../../api/clients.ts";
import { rolloutOf } from "../../rollout/world.ts";
import type { Violated } from "../invariants/violation.ts";
import type { Journal } from "../journal.ts";
import type { Writing } from "./writing.ts";

export interface WalkerOptions {
  calls: ApiClients;
  writing: Writing;
  journal: Journal;
  namespace: string;
  name: string;
  random: () => number;
  violated: Violated;
}

/** How rollouts ended. */
export interface Walks {
  started: number;
  succeeded: number;
  takenBackByPeople: number;
  resumed: number;
  /** Whether one is in the middle of its steps. */
  isWalking(): boolean;
  stop(): Promise<void>;
}

const lookMs = 300;
/** People take back one of so many. */
const takenBackEvery = 6;
/** Looks at a rollout that is under way when nobody wants another. */
const lastLooks = 200;
const ended = /^(succeeded|rolled-back|abandoned)$/;

/** Rollouts of one route, one after the other, whose canary is as good as the stable variant. */
export function startWalker(options: WalkerOptions): Walks {
  const { calls, writing, journal, namespace, random, violated } = options;
  const route = `${namespace}/${options.name}`;
  const counts = { started: 0, succeeded: 0, takenBackByPeople: 0, resumed: 0 };
  let over = false;
  let walking = false;
  const rollout = rolloutOf({
    steps: [{ weight: 40 }, { weight: 70 }, { weight: 100 }],
    hold: "1s",
    proof: { deadline: "120s" },
    analysis: {
      minimumSample: 20,
      blind: "300s",
      checks: [{ metric: "success-rate", tolerance: 10 }],
    },
  });
  Object.assign(rollout.metadata ?? {}, { name: options.name, namespace });

  const progress = () =>
    calls.rollouts.getRollout({ name: route }).then(
      (answer) => answer.progress?.state,
      () => undefined,
    );
  /** Until it is known to be written: an answer may be lost on the way. */
  async function surely(what: string, call: (reason: string) => Promise<object>) {
    while (!over && !(await writing.write(route, what, call))) await sleep(lookMs);
  }

  async function walk(): Promise<void> {
    await surely("back", (reason) =>
      calls.routes.shiftWeights({ name: route, weights: { canary: 0 }, reason }),
    );
    // Nothing but this one starts rollouts here: one that runs was started by a call whose answer was lost.
    const runs = async () => {
      const state = await progress();
      return state !== undefined && !ended.test(state.phase);
    };
    while (!over && !(await runs())) {
      await writing.write(route, "walk", async (reason) => {
        await calls.rollouts.startRollout({ rollout, reason });
        return {};
      });
    }
    if (over) return;
    counts.started++;
    walking = true;
    const takesBack = counts.started % takenBackEvery === 0;
    let asked = false;
    // One that is under way when all is over has a while to end.
    for (let left = lastLooks; left > 0; left -= over ? 1 : 0) {
      const state = await progress();
      if (state && ended.test(state.phase)) {
        journal.say(`rollout of ${route}: ${state.phase} ${state.reason}`);
        if (state.phase === "succeeded") counts.succeeded++;
        else if (asked) counts.takenBackByPeople++;
        else
          violated({
            invariant: "rollouts",
            who: `${route} ${counts.started}`,
            what: `ended as ${state.phase} (${state.reason}) though its canary is healthy and nobody asked for it`,
          });
        break;
      }
      if (state?.phase === "paused") {
        counts.resumed++;
        await writing.write(route, "go on", async (reason) => {
          await calls.rollouts.resumeRollout({ name: route, reason });
          return {};
        });
      }
      if (takesBack && !asked && state?.phase === "running" && random() < 0.2) {
        asked = true;
        await writing.write(route, "stop", async (reason) => {
          await calls.rollouts.rollbackRollout({ name: route, reason });
          return {};
        });
      }
      await sleep(lookMs);
    }
    walking = false;
  }

  const living = (async () => {
    while (!over) await walk();
  })();
  return Object.assign(counts, {
    isWalking: () => walking,
    async stop() {
      over = true;
      await living;
    },
  });
}
