import type { RolloutState } from "../../gen/weir/v1/rollout_pb.ts";
import type { GateStatus } from "../machine/machine.ts";
import { createPoll, createPolls, failureMessage } from "./poll.ts";

const everyMs = 5_000;
const timeoutMs = 4_000;
const keptMs = 60_000;
/** An answer older than this was about something else. */
const maxAgeMs = 15_000;
const maxMessageLength = 200;

/**
 * Asks webhooks before each step, by POST with what is about to happen. 200 to 202
 * opens the gate, 409 asks to go back, anything else, no answer included, keeps it shut.
 * @param webhooks name -> URL, from the command line of the control service: a rollout
 *   only names them, so that no document makes the service call addresses of its choice
 */
export function createWebhooks(
  webhooks: ReadonlyMap<string, string>,
  monotonicMs: () => number,
): (name: string, state: RolloutState) => GateStatus[] {
  const polls = createPolls<GateStatus>(keptMs, monotonicMs);
  return (route, state) =>
    (state.rollout?.spec?.gates ?? []).map(({ name }) => {
      const url = webhooks.get(name);
      if (url === undefined)
        return {
          name,
          open: false,
          message: "is not configured in the control service any more (--webhook)",
        };
      const body = JSON.stringify({
        name: route,
        phase: state.phase,
        step: state.step,
        weight: state.weight,
        canary: state.rollout?.spec?.canary,
        stable: state.rollout?.spec?.stable,
      });
      const latest = polls(`${name} ${body}`, () =>
        createPoll<GateStatus>(
          (signal) => ask(name, url, body, signal),
          (error) => ({ name, open: false, message: failureMessage(error) }),
          { everyMs, timeoutMs, monotonicMs },
        ),
      ).latest();
      if (latest === undefined || latest.ageMs > maxAgeMs)
        return { name, open: false, message: "has not answered yet" };
      return latest.value;
    });
}

async function ask(
  name: string,
  url: string,
  body: string,
  signal: AbortSignal,
): Promise<GateStatus> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    signal,
    redirect: "error",
  });
  const text = (await response.text()).slice(0, maxMessageLength).trim();
  const message = [`status ${response.status}`, text].filter(Boolean).join(": ");
  if (response.status >= 200 && response.status <= 202) return { name, open: true, message };
  return { name, open: false, message, ...(response.status === 409 ? { rollback: true } : {}) };
}
