import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { draftRoute } from "../../control/route/index.ts";
import { openStore, StaleEtagError, type Store } from "../../control/store/index.ts";
import { messageWith } from "../route/documents.ts";
import { startEtcd } from "../store/etcd-cluster.ts";
import { seeded } from "./random.ts";

const seconds = Number(process.env.WEIR_HISTORY_SECONDS ?? 15);
const name = "n/register";

/** One operation: when it was asked and answered, and the version of the route that it wrote or saw. */
interface Operation {
  kind: "write" | "read";
  fromMs: number;
  toMs: number;
  version: number;
}

it("D5, D6: writers and readers on three replicas see one history while etcd's members are paused", {
  timeout: seconds * 1_000 + 120_000,
}, async () => {
  const etcd = await startEtcd({ members: 3 });
  onTestFinished(() => etcd.close());
  const stores = [0, 1, 2].map(() => openStore(etcd.address("history")));
  onTestFinished(async () => {
    for (const store of stores) await store.close();
  });
  const history: Operation[] = [];
  const random = seeded(5);
  const deadline = performance.now() + seconds * 1_000;
  let unknown = 0;

  async function timed(kind: Operation["kind"], work: () => Promise<string | undefined>) {
    const fromMs = performance.now();
    const etag = await work();
    if (etag !== undefined)
      history.push({ kind, fromMs, toMs: performance.now(), version: Number(etag) });
  }

  async function client(store: Store, id: number): Promise<void> {
    for (let i = 0; performance.now() < deadline; i++) {
      const canary = (id * 7 + i) % 100;
      const draft = draftRoute(messageWith({ stable: 100 - canary, canary }), undefined);
      try {
        await timed("read", async () => {
          const state = await store.get(name);
          // What is said to be old makes no claim.
          return store.staleSince?.() === undefined ? (state?.etag ?? "0") : undefined;
        });
        const before = (await store.get(name))?.etag ?? "0";
        await timed("write", async () => {
          const author = { principal: `client ${id}`, reason: String(i) };
          return (await store.put(name, draft, before, "shift", author)).etag;
        });
      } catch (error) {
        if (!(error instanceof StaleEtagError)) unknown++;
      }
      await sleep(random() * 20);
    }
  }

  const disturbing = (async () => {
    for (let i = 0; performance.now() < deadline - 2_000; i++) {
      await sleep(500 + random() * 500);
      etcd.pause(i % 3);
      await sleep(500 + random() * 1_000);
      etcd.resume(i % 3);
    }
  })();
  await Promise.all([...stores, ...stores].map((store, id) => client(store, id)));
  await disturbing;

  const entries = await stores[0]?.audit(name, 1_000_000);
  const written = new Set(entries?.map(({ sequence }) => Number(sequence)));
  const writes = history.filter(({ kind }) => kind === "write");
  console.log(
    `${history.length} operations, ${writes.length} writes acknowledged, ${unknown} without an answer`,
  );
  expect(writes.length).toBeGreaterThan(3);
  // Versions are the order; what is left to hold is that no answer contradicts it in time.
  expect(writes.filter(({ version }) => !written.has(version))).toEqual([]);
  expect(new Set(writes.map(({ version }) => version)).size).toBe(writes.length);
  expect(contradictions(history)).toEqual([]);
});

/** Pairs of which the first was answered before the second was asked, though the second is of an older version. */
function contradictions(history: readonly Operation[]): [Operation, Operation][] {
  const found: [Operation, Operation][] = [];
  const byEnd = [...history].sort((a, b) => a.toMs - b.toMs);
  let newest: Operation | undefined;
  let ended = 0;
  for (const operation of [...history].sort((a, b) => a.fromMs - b.fromMs)) {
    for (; (byEnd[ended]?.toMs ?? Number.POSITIVE_INFINITY) < operation.fromMs; ended++) {
      const done = byEnd[ended] as Operation;
      if (newest === undefined || done.version > newest.version) newest = done;
    }
    if (newest === undefined) continue;
    // A write makes a version of its own; a read may see the same one again.
    const least = operation.kind === "write" ? newest.version + 1 : newest.version;
    if (operation.version < least) found.push([newest, operation]);
  }
  return found;
}

it("the check itself finds a read of something older and a write that went back", () => {
  const at = (kind: "read" | "write", fromMs: number, toMs: number, version: number) => ({
    kind,
    fromMs,
    toMs,
    version,
  });
  const good = [
    at("write", 0, 1, 1),
    at("read", 0.5, 3, 1),
    at("write", 2, 4, 2),
    at("read", 3, 5, 1),
  ];
  expect(contradictions(good)).toEqual([]);
  expect(contradictions([...good, at("read", 6, 7, 1)])).toHaveLength(1);
  expect(contradictions([...good, at("write", 6, 7, 2)])).toHaveLength(1);
});
