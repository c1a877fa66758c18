import { proxy_get_property } from "./env";
import { outPtr, outSize } from "./memory";
import { OK } from "./status";
import { Text, textBytes, textPtr } from "./text";

/** Where the value of the last readProperty stands, until the callback ends. */
export let propertyPtr: usize = 0;

/** Its length in bytes. */
export let propertyBytes: usize = 0;

/** Reads a property by its NUL-separated path; false when the host has no such value. */
export function readProperty(path: Text): bool {
  store<u32>(outSize, 0);
  if (proxy_get_property(textPtr(path), textBytes(path), outPtr, outSize) != OK) return false;
  propertyPtr = load<u32>(outPtr);
  propertyBytes = load<u32>(outSize);
  return true;
}
