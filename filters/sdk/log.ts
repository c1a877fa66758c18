import { proxy_log } from "./env";
import { written, writtenBytes } from "./writer";

const ERROR: i32 = 4;
const WARN: i32 = 3;

/** Logs the text written so far as an error. */
export function logError(): void {
  proxy_log(ERROR, written(), writtenBytes());
}

/** Logs the text written so far as a warning. */
export function logWarning(): void {
  proxy_log(WARN, written(), writtenBytes());
}
