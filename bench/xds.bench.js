// How long a changed weight takes until the last of many proxies has acknowledged it, against the least
// that node:http2 can do: a server that writes one pre-encoded frame per stream.
// Both run on this machine in turn, with the same clients.
import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { interval, median, quantile, show } from "./statistics.js";
import { openProxy } from "./xds/proxy.js";

const counts = (process.env.BENCH_STREAMS ?? "1000,3000").split(",").map(Number);
const pushes = Number(process.env.BENCH_PUSHES ?? 100);
const everything = ["CDS", "EDS", "LDS", "RDS", "ECDS"];

/** @typedef {{ port: number, push: () => Promise<void>, memory: () => Promise<{ rss: number, cpuUs: number }>, close: () => Promise<void> }} Server */

/** @param {string} kind @returns {Promise<Server>} */
async function start(kind) {
  const child = fork(new URL("./xds/server.js", import.meta.url), [kind], {
    execArgv: ["--expose-gc"],
  });
  const heard = () =>
    /** @type {Promise<any>} */ (new Promise((resolve) => child.once("message", resolve)));
  const { port } = await heard();
  return {
    port,
    /** Resolves when the server has every proxy's acknowledgement. */
    async push() {
      const acked = heard();
      child.send("push");
      await acked;
    },
    memory() {
      const answer = heard();
      child.send("memory");
      return answer;
    },
    async close() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.disconnect();
      await gone;
    },
  };
}

/** Clients of one server that count what comes. @param {number} port @param {number} count @param {readonly string[]} types */
async function connectAll(port, count, types) {
  let received = 0;
  const wanted = count * types.length;
  let reached = () => {};
  const all = new Promise((resolve) => {
    reached = () => resolve(undefined);
  });
  const startMs = performance.now();
  /** @type {import("node:net").Socket[]} */
  const sockets = [];
  for (let i = 0; i < count; i++) {
    sockets.push(
      openProxy(port, `proxy-${i}`, types, () => {
        if (++received === wanted) reached();
      }),
    );
    // A listening socket's queue holds a few hundred.
    if (i % 250 === 249) await new Promise((resolve) => sockets[i]?.once("connect", resolve));
  }
  const late = setTimeout(() => {
    throw new Error(`only ${received} of ${wanted} responses came`);
  }, 60_000);
  await all;
  clearTimeout(late);
  return {
    tookMs: performance.now() - startMs,
    close: () =>
      Promise.all(
        sockets.map((socket) => new Promise((resolve) => socket.once("close", resolve).destroy())),
      ),
  };
}

/** @param {number} count */
async function compare(count) {
  const raw = await start("raw");
  const weir = await start("weir");
  const rawClients = await connectAll(raw.port, count, ["RDS"]);
  const weirClients = await connectAll(weir.port, count, ["RDS"]);
  // The acknowledgements of what the proxies began with.
  await sleep(1_000);
  /** @type {{ raw: number, weir: number }[]} */
  const rounds = [];
  const before = [await raw.memory(), await weir.memory()];
  for (let i = 0; i < pushes + 5; i++) {
    // In turn, and turned around each time: what the machine does meanwhile hits both.
    const pair = { raw: 0, weir: 0 };
    for (const kind of i % 2
      ? /** @type {const} */ (["raw", "weir"])
      : /** @type {const} */ (["weir", "raw"])) {
      await sleep(20);
      const from = performance.now();
      await (kind === "raw" ? raw : weir).push();
      pair[kind] = performance.now() - from;
    }
    if (i >= 5) rounds.push(pair);
  }
  const after = [await raw.memory(), await weir.memory()];
  const cpu = before.map((each, i) => ((after[i]?.cpuUs ?? 0) - each.cpuUs) / (pushes + 5) / 1000);
  console.log(
    `${count} streams, ${pushes} pushes: milliseconds to the last acknowledgement, median and p99`,
  );
  /** @typedef {readonly { raw: number, weir: number }[]} Rounds */
  const p99 = (/** @type {readonly number[]} */ values) => quantile(values, 0.99);
  for (const [i, kind] of /** @type {const} */ (["raw", "weir"]).entries()) {
    const [middle, late] = [median, p99].map((statistic) =>
      show(
        interval(rounds, (/** @type {Rounds} */ each) => statistic(each.map((pair) => pair[kind]))),
        1,
      ),
    );
    console.log(`  ${kind.padEnd(4)} ${middle}, ${late}; CPU ${cpu[i]?.toFixed(1)}`);
  }
  const ratio = interval(rounds, (/** @type {Rounds} */ each) =>
    median(each.map(({ raw, weir }) => weir / raw)),
  );
  const ofP99 = interval(
    rounds,
    (/** @type {Rounds} */ each) =>
      p99(each.map(({ weir }) => weir)) / p99(each.map(({ raw }) => raw)),
  );
  console.log(`  weir / raw ${show(ratio)}, of the p99 ${show(ofP99)}`);
  await Promise.all([rawClients.close(), weirClients.close()]);
  await Promise.all([raw.close(), weir.close()]);
}

/** Memory of whole proxies, and how long all of them take to come back at once. @param {number} count */
async function whole(count) {
  const server = await start("weir");
  const empty = (await server.memory()).rss;
  const first = await connectAll(server.port, count, everything);
  const full = (await server.memory()).rss;
  await first.close();
  const again = await connectAll(server.port, count, everything);
  const after = (await server.memory()).rss;
  const mib = (/** @type {number} */ bytes) => (bytes / 2 ** 20).toFixed(0);
  console.log(
    `${count} proxies with all five types: ${mib(full)} MiB (${mib(empty)} before, ${mib(after)} after all came back)`,
  );
  console.log(`  all came back at once and had everything in ${again.tookMs.toFixed(0)} ms`);
  await again.close();
  await server.close();
}

export async function run() {
  for (const count of counts) await compare(count);
  await whole(1000);
  if (process.env.BENCH_LARGE) {
    await compare(10_000);
    await whole(10_000);
  }
}
