/** More names than any fleet of routes has; longer ones than any of ours. */
const maxNames = 20_000;
const maxNameLength = 1024;

/** Which resources of one type one stream wants. */
export interface Subscription {
  readonly wildcard: boolean;
  /** Under delta they are a set that the next request changes in place. */
  readonly names: ReadonlySet<string>;
  /**
   * The client has named something on this stream, if only "*". From then on an
   * empty list means nothing, before it means everything
   * (xds_protocol.rst, "How the client specifies what resources to return").
   */
  readonly explicit: boolean;
}

/** What a request does to a subscription. */
export interface SubscriptionChange {
  subscription: Subscription;
  /** Names that the client asks for now: they are sent whether or not they were sent before. */
  asked: readonly string[];
  /** "*" is asked for now: so is everything. */
  askedAll: boolean;
  /** Delta: names that the client lets go of, and whether it had named them. */
  released: readonly { name: string; named: boolean }[];
}

export const nothing: Subscription = { wildcard: false, names: new Set(), explicit: false };

/**
 * A state-of-the-world request: its names are the whole subscription, and an
 * empty list means all of them only while nothing was ever named.
 */
export function sotwSubscription(
  before: Subscription,
  first: boolean,
  names: readonly string[],
  allowsWildcard: boolean,
): SubscriptionChange {
  const explicit = before.explicit || names.length > 0;
  const wildcard = allowsWildcard && (names.includes("*") || !explicit);
  const after = new Set(names);
  after.delete("*");
  const asked = [...after].filter((name) => !before.names.has(name));
  return {
    subscription: { wildcard, names: after, explicit },
    asked,
    askedAll: wildcard && (first || !before.wildcard),
    released: [],
  };
}

/**
 * A delta request: names come and go one by one, and letting go of the unknown
 * does nothing (xds_protocol.rst, "Unsubscribing from Resources").
 * @param names those of the subscription before, which are changed in place
 */
export function deltaSubscription(
  before: Subscription,
  names: Set<string>,
  subscribe: readonly string[],
  unsubscribe: readonly string[],
  allowsWildcard: boolean,
): SubscriptionChange {
  const legacy = !before.explicit && subscribe.length === 0 && unsubscribe.length === 0;
  const askedAll = allowsWildcard && (subscribe.includes("*") || (legacy && !before.wildcard));
  const wildcard = (before.wildcard || askedAll) && !unsubscribe.includes("*");
  const asked = subscribe.filter((name) => name !== "*");
  for (const name of asked) names.add(name);
  const released = unsubscribe.flatMap((name) =>
    name === "*" ? [] : [{ name, named: names.delete(name) }],
  );
  const explicit = before.explicit || subscribe.length > 0 || unsubscribe.includes("*");
  return { subscription: { wildcard, names, explicit }, asked, askedAll, released };
}

/** Whether a resource is wanted. */
export function wants(subscription: Subscription, name: string): boolean {
  return subscription.wildcard || subscription.names.has(name);
}

/** What is wrong with a list of names from a proxy; undefined when nothing is. */
export function namesProblem(names: readonly string[]): string | undefined {
  if (names.length > maxNames) return tooMany(names.length);
  const long = names.find((name) => name.length > maxNameLength);
  return long === undefined
    ? undefined
    : `a resource name of ${long.length} characters: at most ${maxNameLength} are allowed`;
}

/** What is wrong with a subscription that grew over many requests; undefined when nothing is. */
export function subscriptionProblem({ names }: Subscription): string | undefined {
  return names.size > maxNames ? tooMany(names.size) : undefined;
}

function tooMany(count: number): string {
  return `${count} resource names: at most ${maxNames} are allowed`;
}
