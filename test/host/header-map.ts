/** A header map as Envoy keeps it: ordered, repeated names allowed, values as bytes (latin1 here). */
export type Headers = [string, string][];

/** Sets a name to one value: the first one changes in place, further ones stay, as in Envoy. */
export function replaceHeader(headers: Headers, name: string, value: string): void {
  const found = headers.find(([key]) => key === name.toLowerCase());
  if (found) found[1] = value;
  else headers.push([name.toLowerCase(), value]);
}

export function removeHeader(headers: Headers, name: string): void {
  for (let i = headers.length - 1; i >= 0; i--)
    if (headers[i]?.[0] === name.toLowerCase()) headers.splice(i, 1);
}

export function valuesOf(headers: Headers, name: string): string[] {
  return headers.filter(([key]) => key === name).map(([, value]) => value);
}
