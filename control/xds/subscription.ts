/** More names than any fleet of routes has; longer ones than any of ours. */
export const mostNames = 20_000;
export const mostNameLength = 1024;

/** Which resources of one type one stream wants. */
export interface Subscription {
  readonly wildcard: boolean;
  readonly names: ReadonlySet<string>;
}

export const nothing: Subscription = { wildcard: false, names: new Set() };

/**
 * The subscription after a state-of-the-world request. The first request of a
 * type with no names means all of them, if the type allows it; after any
 * explicit list it means none (xds_protocol.rst, "wildcard subscriptions").
 */
export function sotwSubscription(
  before: Subscription | undefined,
  names: readonly string[],
  allowsWildcard: boolean,
): Subscription {
  const explicit = names.filter((name) => name !== "*");
  const wildcard =
    allowsWildcard &&
    (names.length > explicit.length ||
      (names.length === 0 &&
        (before === undefined || (before.wildcard && before.names.size === 0))));
  return { wildcard, names: new Set(explicit) };
}

/** The subscription after a delta request; unsubscribing from the unknown does nothing. */
export function deltaSubscription(
  before: Subscription | undefined,
  subscribe: readonly string[],
  unsubscribe: readonly string[],
  allowsWildcard: boolean,
): Subscription {
  const names = new Set(before?.names);
  let wildcard = before?.wildcard ?? (allowsWildcard && subscribe.length === 0);
  for (const name of subscribe) {
    if (name === "*") wildcard = allowsWildcard;
    else names.add(name);
  }
  for (const name of unsubscribe) {
    if (name === "*") wildcard = false;
    else names.delete(name);
  }
  return { wildcard, names };
}

/** Whether a resource is wanted. */
export function wants(subscription: Subscription, name: string): boolean {
  return subscription.wildcard || subscription.names.has(name);
}

/** What is wrong with a list of names from a proxy; undefined when nothing is. */
export function namesProblem(names: readonly string[]): string | undefined {
  if (names.length > mostNames)
    return `${names.length} resource names: at most ${mostNames} are allowed`;
  const long = names.find((name) => name.length > mostNameLength);
  return long === undefined
    ? undefined
    : `a resource name of ${long.length} characters: at most ${mostNameLength} are allowed`;
}
