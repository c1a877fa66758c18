import type { Violated } from "./violation.ts";

/** The service goes on: it answers within the bound, and ends only when it is told to. */
export function createAnswers(nowMs: () => number, boundMs: number, violated: Violated) {
  let lastMs = nowMs();
  return {
    answered(): void {
      lastMs = nowMs();
    },
    check(): void {
      const silent = nowMs() - lastMs;
      if (silent > boundMs)
        violated({
          invariant: "answers",
          who: "the control service",
          what: `has answered no probe for ${Math.round(silent)} ms in which it had a core`,
        });
    },
    ended(how: string): void {
      violated({
        invariant: "answers",
        who: "the control service",
        what: `ended on its own: ${how}`,
      });
    },
  };
}
