/**
 * Whether everything that is wanted is there as wanted. Members that others
 * added to an object are theirs; lists are wanted as a whole.
 * @returns the path of the first difference, undefined when there is none
 */
export function difference(wanted: unknown, live: unknown, path = ""): string | undefined {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(live) || live.length !== wanted.length) return path;
    for (let index = 0; index < wanted.length; index++) {
      const found = difference(wanted[index], live[index], `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (typeof wanted === "object" && wanted !== null) {
    if (typeof live !== "object" || live === null || Array.isArray(live)) return path;
    for (const [name, value] of Object.entries(wanted)) {
      if (value === undefined) continue;
      const found = difference(value, (live as Record<string, unknown>)[name], `${path}.${name}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return Object.is(wanted, live) ? undefined : path;
}
