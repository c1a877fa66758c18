import { type Entry, isSamePod } from "./entry.ts";
import { refused } from "./refusal.ts";

/** A pod that registers. */
type Next = Pick<Entry, "address" | "instance" | "principal" | "route" | "variant">;

/**
 * Decides whether a pod may have the address that it registers with.
 * @param entry who has it; undefined: nobody
 * @returns that one, whose place the pod takes, or whose lease it renews
 * @throws RefusedError where the address is not its own
 */
export function runBefore(entry: Entry | undefined, next: Next): Entry | undefined {
  if (entry === undefined) return undefined;
  const refuse = (code: string, why: string): never => {
    throw refused(code, "conflict", "address", `address ${next.address} ${why}`);
  };
  if (entry.earlier.includes(next.instance))
    refuse("pod-replaced", "was registered by another run of the pod after this one");
  if (entry.instance === next.instance && isSamePod(entry, next)) {
    if (entry.state === "left") refuse("pod-left", "was deregistered by this run of the pod");
    return entry;
  }
  if (entry.state !== "left" && !isSamePod(entry, next))
    refuse(
      "address-taken",
      "is registered for another variant, route or caller until its lease ends",
    );
  return entry;
}
