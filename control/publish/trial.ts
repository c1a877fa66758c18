import {
  type Member,
  type Refusal,
  type ResourceType,
  resourceTypes,
  type Snapshot,
} from "../xds/index.ts";

/** What proxies of a scope can be sent. */
export interface Sendable {
  readonly snapshot: Snapshot;
}

/** Whoever has refused more than others is not asked before them. */
export function minRefusing(members: readonly Member[]): Member | undefined {
  return members.reduce<Member | undefined>(
    (best, each) => (best && best.refusals() <= each.refusals() ? best : each),
    undefined,
  );
}

/** What a proxy says no to of what is new in an edition. */
export function refusalOf(
  { node, answer }: Member,
  changed: readonly ResourceType[],
  { snapshot }: Sendable,
): Refusal | undefined {
  for (const { name: type } of changed) {
    const { state, message } = answer(type, snapshot[type].version);
    if (state === "refused") return { node, type, message };
  }
  return undefined;
}

/** Whether a proxy runs an edition, and something that is new in it. */
export function takes(
  member: Member,
  changed: readonly ResourceType[],
  { snapshot }: Sendable,
): boolean {
  return (
    changed.some(({ name }) => member.answer(name, "").state !== "unasked") &&
    runs(member, snapshot)
  );
}

/** Whether a proxy runs a snapshot, as far as it asks for what is in it. */
export function runs(member: Member, snapshot: Snapshot): boolean {
  return resourceTypes.every(({ name, wildcard }) => {
    const { version, resources } = snapshot[name];
    // An empty type is sent only to clients with a wildcard subscription.
    if (resources.size === 0 && !wildcard) return true;
    const { state } = member.answer(name, version);
    return state === "runs" || state === "unasked";
  });
}
