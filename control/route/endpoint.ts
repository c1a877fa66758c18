import { isIP } from "node:net";

/** The host, an IPv6 address without its brackets, and the port of an endpoint of a variant. */
export function endpointAddress(endpoint: string): { host: string; port: number } {
  const colon = endpoint.lastIndexOf(":");
  return {
    host: endpoint.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(endpoint.slice(colon + 1)),
  };
}

/** Whether an endpoint is a name, which has to be resolved and may stand for several pods. */
export function isNamed(endpoint: string): boolean {
  return isIP(endpointAddress(endpoint).host) === 0;
}
