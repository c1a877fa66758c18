import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { draftRoute } from "../../control/route/index.ts";
import { openStore, StaleEtagError, type Store } from "../../control/store/index.ts";
import { generator } from "../random.ts";
import { messageWith } from "../route/documents.ts";
import { startEtcd } from "../store/etcd-cluster.ts";
import { isLinearizable, type Operation } from "./linearizable.ts";

const seconds = Number(process.env.WEIR_HISTORY_SECONDS ?? 15);
const registers = ["n/one", "n/two"];

it("D5, D6: what writers and readers on three replicas are told while etcd's members are paused can have happened in one order", {
  timeout: seconds * 1_000 + 120_000,
}, async () => {
  const etcd = await startEtcd({ members: 3 });
  onTestFinished(() => etcd.close());
  const stores = [0, 1, 2].map(() => openStore(etcd.address("history")));
  onTestFinished(async () => {
    for (const store of stores) await store.close();
  });
  const histories = new Map(registers.map((name) => [name, [] as Operation[]]));
  /** Writes without an answer, by what the audit would say of them. */
  const unanswered: { name: string; fromMs: number; over: string; author: string }[] = [];
  const random = generator(5);
  const deadline = performance.now() + seconds * 1_000;
  let refused = 0;

  async function read(store: Store, name: string): Promise<void> {
    const fromMs = performance.now();
    const value = (await store.get(name))?.etag ?? "0";
    // What is said to be old makes no claim.
    if (store.staleSince?.() !== undefined) return;
    histories.get(name)?.push({ kind: "read", fromMs, toMs: performance.now(), value });
  }

  async function write(store: Store, name: string, canary: number, principal: string) {
    const message = messageWith({ stable: 100 - canary, canary });
    const [namespace = "", local = ""] = name.split("/");
    Object.assign(message.metadata ?? {}, { namespace, name: local });
    const draft = draftRoute(message, undefined);
    const over = (await store.get(name))?.etag ?? "0";
    const fromMs = performance.now();
    const author = { principal, reason: String(fromMs) };
    try {
      const { etag: value } = await store.put(name, draft, over, "shift", author);
      histories.get(name)?.push({ kind: "write", fromMs, toMs: performance.now(), value, over });
    } catch (error) {
      if (error instanceof StaleEtagError) refused++;
      else unanswered.push({ name, fromMs, over, author: `${principal} ${author.reason}` });
    }
  }

  async function client(store: Store, id: number): Promise<void> {
    for (let i = 0; performance.now() < deadline; i++) {
      const name = registers[Math.floor(random() * registers.length)] as string;
      await read(store, name).catch(() => {});
      await write(store, name, (id * 7 + i) % 100, `client ${id}`).catch(() => {});
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

  const entries = (await stores[0]?.audit("", 1_000_000)) ?? [];
  const byAuthor = new Map(entries.map((entry) => [`${entry.principal} ${entry.reason}`, entry]));
  let happened = 0;
  for (const { name, fromMs, over, author } of unanswered) {
    const entry = byAuthor.get(author);
    if (entry === undefined) continue;
    happened++;
    const value = String(entry.sequence);
    const toMs = Number.POSITIVE_INFINITY;
    histories.get(name)?.push({ kind: "write", fromMs, toMs, value, over });
  }
  const all = [...histories.values()].flat();
  const writes = all.filter(({ kind }) => kind === "write");
  console.log(
    `${all.length} operations, ${writes.length} writes, ${refused} refused, ${unanswered.length} without an answer, ${happened} of which happened`,
  );
  expect(writes.length).toBeGreaterThan(10);
  // Every write there is was asked for, and once.
  expect(entries).toHaveLength(writes.length);
  for (const [name, history] of histories)
    expect([name, isLinearizable(history, "0")]).toEqual([name, true]);
});

describe("the check itself", () => {
  const at = (
    kind: "read" | "write",
    fromMs: number,
    toMs: number,
    value: string,
    over?: string,
  ): Operation => ({ kind, fromMs, toMs, value, ...(over === undefined ? {} : { over }) });
  const never = Number.POSITIVE_INFINITY;
  const good = [
    at("write", 0, 1, "1", "0"),
    at("read", 0.5, 3, "1"),
    at("write", 2, 4, "2", "1"),
    at("read", 3, 5, "1"),
  ];

  it.each<[string, boolean, Operation[]]>([
    ["reads beside a write, of before and after", true, []],
    ["a read of something older", false, [at("read", 6, 7, "1")]],
    ["a read of what no one wrote", false, [at("read", 6, 7, "9")]],
    ["a write over something older", false, [at("write", 6, 7, "3", "1")]],
    ["two writes over the same", false, [at("write", 6, 9, "3", "2"), at("write", 6, 9, "4", "2")]],
    [
      "a write without an answer that was read",
      true,
      [at("write", 1, never, "3", "2"), at("read", 8, 9, "3")],
    ],
    [
      "a write without an answer that no one saw",
      true,
      [at("write", 1, never, "3", "2"), at("read", 8, 9, "2")],
    ],
    [
      "a write that was read, and then was not",
      false,
      [at("write", 1, never, "3", "2"), at("read", 8, 9, "3"), at("read", 10, 11, "2")],
    ],
  ])("%s: %s", (_what, expected, more) => {
    expect(isLinearizable([...good, ...more], "0")).toBe(expected);
  });

  it("takes a history of ten thousand operations", () => {
    const long = Array.from({ length: 10_000 }, (_, i) =>
      i % 2
        ? at("read", i, i + 3, String(i))
        : at("write", i, i + 1.5, String(i + 1), i ? String(i - 1) : "0"),
    );
    expect(isLinearizable(long, "0")).toBe(true);
    expect(isLinearizable([...long, at("read", 20_000, 20_001, "5001")], "0")).toBe(false);
  });
});
