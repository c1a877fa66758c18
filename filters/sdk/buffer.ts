import { proxy_get_buffer_bytes, proxy_set_buffer_bytes } from "./env";
import { outPtr, outSize } from "./memory";
import { OK } from "./status";

const PLUGIN_CONFIGURATION: i32 = 7;

/** Where the configuration read last stands, until the callback ends. */
export let configurationPtr: usize = 0;

/** Its length in bytes. */
export let configurationBytes: usize = 0;

/** Reads the configuration of the root context that is being configured. */
export function readConfiguration(bytes: usize): bool {
  configurationPtr = 0;
  configurationBytes = 0;
  if (bytes == 0) return true;
  store<u32>(outSize, 0);
  if (proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, bytes, outPtr, outSize) != OK) return false;
  configurationPtr = load<u32>(outPtr);
  configurationBytes = load<u32>(outSize);
  return true;
}

/** Bodies of the ABI. */
export const REQUEST_BODY: i32 = 0;

/** The body of the answer. */
export const RESPONSE_BODY: i32 = 1;

/** Where the piece of a body read last stands, until the callback ends. */
export let bodyPtr: usize = 0;

/** Its length in bytes. */
export let bodyBytes: usize = 0;

/** Reads the piece of a body that a callback is about; false when the host has none or it is beyond every bound. */
export function readBody(body: i32, bytes: usize): bool {
  bodyPtr = 0;
  bodyBytes = 0;
  if (bytes == 0) return true;
  store<u32>(outSize, 0);
  if (proxy_get_buffer_bytes(body, 0, bytes, outPtr, outSize) != OK) return false;
  bodyPtr = load<u32>(outPtr);
  bodyBytes = load<u32>(outSize);
  return true;
}

/** Puts other bytes in place of the piece a callback is about. */
export function replaceBody(body: i32, had: usize, ptr: usize, bytes: usize): bool {
  return proxy_set_buffer_bytes(body, 0, had, ptr, bytes) == OK;
}
