import { setTimeout as sleep } from "node:timers/promises";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import { staleHeader } from "../../control/api/stale.ts";
import type { AuditEntry } from "../../control/gen/weir/v1/service_pb.ts";
import { rolloutOf } from "../rollout/world.ts";
import type { Replica } from "./replica.ts";

/** Rollouts of a route, one after the other, as someone does who asks whichever replica answers. */
export interface Walks {
  started: number;
  /** How they ended: "succeeded", "rolled-back" with the reason. */
  ended: string[];
  resumed: number;
  /** Starts no further one, and resolves when the one under way has ended. */
  finish(): Promise<void>;
}

/** Asks one replica after the other until one answers, and not from an old copy. */
async function anyone<T>(
  replicas: readonly Replica[],
  random: () => number,
  call: (replica: Replica, options: CallOptions) => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + 120_000;
  for (let at = Math.floor(random() * replicas.length); ; at++) {
    let stale = false;
    const onHeader = (headers: Headers) => {
      stale = headers.has(staleHeader);
    };
    try {
      const answer = await call(replicas[at % replicas.length] as Replica, {
        onHeader,
        timeoutMs: 5_000,
      });
      if (!stale) return answer;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(100);
  }
}

const ended = /^(succeeded|rolled-back|abandoned)$/;

/** Starts to walk the example's route up and back until told to finish. */
export function walk(replicas: readonly Replica[], name: string, random: () => number): Walks {
  let over = false;
  const walks = { started: 0, ended: [] as string[], resumed: 0 };
  const rollout = rolloutOf({
    steps: [{ weight: 20 }, { weight: 50 }, { weight: 80 }, { weight: 100 }],
    hold: "2s",
    proof: { deadline: "120s" },
    analysis: {
      minimumSample: 20,
      blind: "300s",
      checks: [{ metric: "success-rate", tolerance: 5 }],
    },
  });
  Object.assign(rollout.metadata ?? {}, { name });

  const progress = () =>
    anyone(replicas, random, (replica, options) =>
      replica.rollouts.getRollout({ name }, options).then((answer) => answer.progress?.state),
    );

  async function one(reason: string): Promise<void> {
    await anyone(replicas, random, ({ routes }, options) =>
      routes.shiftWeights({ name, weights: { canary: 0 }, reason: "back" }, options),
    );
    await anyone(replicas, random, ({ rollouts }, options) =>
      rollouts.startRollout({ rollout, reason }, options).catch((error: unknown) => {
        // It has started: the answer to an earlier try was lost.
        if (ConnectError.from(error).code !== Code.FailedPrecondition) throw error;
      }),
    );
    for (;;) {
      const state = await progress();
      if (state && ended.test(state.phase)) {
        walks.ended.push(state.phase === "succeeded" ? state.phase : state.reason);
        return;
      }
      if (state?.phase === "paused") {
        walks.resumed++;
        // Refused when an earlier try was heard.
        await anyone(replicas, random, ({ rollouts }, options) =>
          rollouts.resumeRollout({ name, reason: "go on" }, options).catch((error: unknown) => {
            if (ConnectError.from(error).code !== Code.FailedPrecondition) throw error;
          }),
        );
      }
      await sleep(500);
    }
  }

  const walking = (async () => {
    while (!over) await one(`walk ${walks.started++}`);
  })();
  return Object.assign(walks, {
    async finish() {
      over = true;
      await walking;
    },
  });
}

/** What the audit of a route tells of its rollouts. @param entries oldest first */
export function stepsOf(entries: readonly AuditEntry[]) {
  const wrong: string[] = [];
  let steps = 0;
  let last: AuditEntry["rolloutAfter"];
  for (const entry of entries) {
    const { action, rolloutAfter: after, rolloutBefore: before } = entry;
    if (!action.startsWith("rollout-") || after === undefined) continue;
    if (action !== "rollout-start" && before?.etag !== last?.etag)
      wrong.push(`${entry.sequence}: ${action} follows ${before?.etag}, not ${last?.etag}`);
    if (action === "rollout-step") {
      steps++;
      if (after.step !== (last?.step ?? 0) + 1)
        wrong.push(`${entry.sequence}: step ${after.step} after ${last?.step}`);
      const canary = entry.after?.route?.spec?.variants.find(({ name }) => name === "canary");
      if (canary && canary.weight !== after.weight)
        wrong.push(`${entry.sequence}: step to ${after.weight} wrote ${canary?.weight}`);
    }
    last = after;
  }
  return { steps, wrong };
}
