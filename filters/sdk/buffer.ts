import { proxy_get_buffer_bytes } from "./env";
import { outPtr, outSize } from "./memory";
import { OK } from "./status";

const PLUGIN_CONFIGURATION: i32 = 7;

/** Where the configuration read last stands, until the callback ends. */
export let configurationPtr: usize = 0;
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
