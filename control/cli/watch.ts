import { setTimeout as sleep } from "node:timers/promises";
import { print } from "./output.ts";
import { onInterrupt } from "./signals.ts";

const everyMs = 1000;

/**
 * Shows what `look` tells, once, or with `watch` until Ctrl-C: on a terminal in
 * place, elsewhere again whenever it changed.
 */
export async function showOrWatch(
  watch: boolean | undefined,
  look: () => Promise<string>,
): Promise<void> {
  if (!watch) return print(await look());
  const interrupt = onInterrupt();
  let last = "";
  while (!interrupt.aborted) {
    const text = await look();
    if (process.stdout.isTTY) print(`\x1b[H\x1b[2J${text}`);
    else if (text !== last) print(text);
    last = text;
    await sleep(everyMs, undefined, { signal: interrupt }).catch(() => {});
  }
}
