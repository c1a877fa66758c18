import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Gives Envoy and this process a core each, where taskset can; otherwise they disturb each other. @param {number} pid */
export function keepApart(pid) {
  if (availableParallelism() < 2) return;
  for (const args of [
    ["-acp", "1", String(pid)],
    ["-acp", "0", String(process.pid)],
  ])
    if (spawnSync("taskset", args).status !== 0)
      console.log("(taskset did not work: expect wide intervals)");
}

/** Reads the nanoseconds that Envoy's only worker has run; see proc(5), schedstat. @param {number} pid @returns {() => number} */
export function workerClock(pid) {
  const tasks = `/proc/${pid}/task`;
  const worker = readdirSync(tasks).find((task) =>
    readFileSync(`${tasks}/${task}/comm`, "utf8").startsWith("wrk:worker_0"),
  );
  if (worker === undefined) throw new Error("envoy has no worker thread");
  return () => Number(readFileSync(`${tasks}/${worker}/schedstat`, "utf8").split(" ", 1)[0]);
}
