import { proxy_get_property } from "./env";
import { found, foundBytes, foundPtr, resetFound, Span } from "./span";
import { OK } from "./status";
import { Text, textBytes, textPtr } from "./text";

/**
 * Reads a property of the request, the connection or the proxy.
 *
 * @param path its names, each but the last with a NUL behind it
 * @returns its value, until the host returns other bytes; null when there is none
 */
export function readProperty(path: Text): Span | null {
  resetFound();
  const status = proxy_get_property(textPtr(path), textBytes(path), foundPtr, foundBytes);
  return status == OK ? found : null;
}
