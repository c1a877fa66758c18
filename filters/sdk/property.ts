import { proxy_get_property } from "./env";
import { ptrOf, Span, sizeOf } from "./span";
import { OK } from "./status";
import { Text, textBytes, textPtr } from "./text";

/** The value of the last readProperty, until the callback ends. */
export const property = changetype<Span>(memory.data(8, 8));

/** Reads a property by its NUL-separated path; false when the host has no such value. */
export function readProperty(path: Text): bool {
  return (
    proxy_get_property(textPtr(path), textBytes(path), ptrOf(property), sizeOf(property)) == OK
  );
}
