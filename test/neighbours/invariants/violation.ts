/** Something that must never be, and was. */
export interface Violation {
  /** Name of the invariant. */
  invariant: string;
  /** A proxy, a route, a write, the service. */
  who: string;
  /** What was seen and what should have been. */
  what: string;
}

/** Takes violations; each is told once. */
export type Violated = (violation: Violation) => void;

/** Keeps violations apart by what they are about: what goes on is one of them, not a thousand. */
export function collectViolations(onFirst: (violation: Violation) => void = () => {}) {
  const all = new Map<string, Violation>();
  const violated: Violated = (violation) => {
    const key = `${violation.invariant}\0${violation.who}`;
    if (all.has(key)) return;
    all.set(key, violation);
    onFirst(violation);
  };
  return { violated, all: () => [...all.values()] };
}
