/** A header map as Envoy keeps it: ordered, repeated names allowed, values as bytes (latin1 here). */
export type Headers = [string, string][];

/** Sets a name to one value: what was there goes, the new one comes last, as in Envoy. Pairs themselves are never changed. */
export function replaceHeader(headers: Headers, name: string, value: string): void {
  removeHeader(headers, name);
  headers.push([name.toLowerCase(), value]);
}

export function removeHeader(headers: Headers, name: string): void {
  const key = name.toLowerCase();
  for (let i = headers.length - 1; i >= 0; i--) if (headers[i]?.[0] === key) headers.splice(i, 1);
}

export function valuesOf(headers: Headers, name: string): string[] {
  return headers.filter(([key]) => key === name).map(([, value]) => value);
}
