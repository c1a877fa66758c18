import { execFileSync } from "node:child_process";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { RolloutStateSchema } from "../../control/gen/weir/v1/rollout_pb.ts";
import { AuditEntrySchema, RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import { draftRoute } from "../../control/route/index.ts";
import { openStore, type RouteEvent, type Store } from "../../control/store/index.ts";
import { sealRecord } from "../../control/store/record.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { rolloutOf } from "../rollout/world.ts";
import { messageWith } from "../route/documents.ts";
import { type EtcdCluster, startEtcd } from "./etcd-cluster.ts";

const author = { principal: "tester", reason: "hostile" };
const draft = (name: string, canary = 10) => {
  const route = messageWith({ stable: 100 - canary, canary });
  const [namespace = "", local = ""] = name.split("/");
  Object.assign(route.metadata ?? {}, { namespace, name: local });
  return draftRoute(route, undefined);
};

let etcd: EtcdCluster;
let used = 0;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd?.close());

/** A store with two routes, of two teams, and hands that write anything beside it. */
async function world() {
  const prefix = `hostile-${used++}`;
  const said: string[] = [];
  const open = (): Store => {
    const store = openStore(etcd.address(prefix), { log: (line) => said.push(line) });
    onTestFinished(() => store.close());
    return store;
  };
  const store = open();
  await store.put("a/chat", draft("a/chat"), "", "apply", author);
  await store.put("b/chat", draft("b/chat"), "", "apply", author);
  await store.list();
  return {
    store,
    open,
    said,
    key: (path: string) => `${prefix}/${path}`,
    /** Any bytes, also those that no shell argument can be. */
    put(path: string, value: Uint8Array | string) {
      const endpoint = `--endpoints=http://${etcd.endpoints[0]}`;
      // Of nothing etcdctl takes no standard input.
      const nothing = value.length === 0 ? [""] : [];
      execFileSync("etcdctl", [endpoint, "put", `${prefix}/${path}`, ...nothing], {
        input: Buffer.from(value),
        env: { PATH: process.env.PATH, ETCDCTL_API: "3" },
        stdio: ["pipe", "ignore", "pipe"],
      });
    },
    del: (path: string) => etcd.ctl(["del", `${prefix}/${path}`]),
  };
}

const sealed = (name: string, more: Record<string, unknown> = {}) =>
  sealRecord(
    toBinary(
      RouteStateSchema,
      create(RouteStateSchema, { ...draft(name, 77), etag: "1", ...more } as never),
    ),
  );
const etags = async (store: Store) =>
  (await store.list()).routes.map(({ route, etag }) => `${route?.metadata?.namespace} ${etag}`);

/** What may lie under a route's key without being that route. */
const forgeries: [string, () => Uint8Array | string, RegExp][] = [
  ["garbage", () => "garbage", /checksum/],
  ["nothing", () => "", /checksum/],
  ["a megabyte of zeros", () => Buffer.alloc(1 << 20), /checksum/],
  ["garbage with a checksum that fits", () => sealRecord(Buffer.from("garbage")), /cannot be read/],
  ["another team's route", () => sealed("b/chat"), /holds another object: b\/chat/],
  ["an empty state", () => sealRecord(Buffer.alloc(0)), /holds another object/],
  ["a route with an etag that is no number", () => sealed("a/chat", { etag: "x" }), /etag/],
];

describe.each(forgeries)("%s under a route's key in etcd", (_, value, why) => {
  it("leaves that route as it was last known, and all others readable and writable", async () => {
    const { store, open, said, put, key } = await world();
    put("routes/a/chat", value());
    expect(await etags(store)).toEqual(["a 1", "b 2"]);
    expect((await store.get("a/chat"))?.etag).toBe("1");
    expect(said.join("\n")).toContain(`${key("routes/a/chat")} in etcd is damaged: `);
    expect([...(store.damaged?.() ?? [])]).toEqual([
      [key("routes/a/chat"), expect.stringMatching(why)],
    ]);
    expect(said).toHaveLength(1);
    await store.put("b/chat", draft("b/chat", 20), "2", "shift", author);
    await store.put("c/new", draft("c/new"), "0", "apply", author);
    // A replica that starts now knows it from the audit.
    const other = open();
    expect(await etags(other)).toEqual(["a 1", "b 3", "c 4"]);
    expect((await other.get("a/chat"))?.route).toEqual((await store.get("a/chat"))?.route);
    // Applied again, against the etag that it was last known with, it is whole.
    await other.put("a/chat", draft("a/chat", 30), "1", "shift", author);
    expect(await etags(store)).toEqual(["a 5", "b 3", "c 4"]);
    expect([...(store.damaged?.() ?? [])]).toEqual([]);
  });
});

it("a service whose store has a damaged key says so to those who see all of it, and goes on", async () => {
  const { put, key } = await world();
  put("routes/a/chat", "garbage");
  const lines: string[] = [];
  const server = await startQuietServer({
    store: etcd.address(key("").slice(0, -1)),
    log: (line, code) => lines.push(`${code}: ${line}`),
  });
  onTestFinished(() => server.close());
  const list = await fetch(`${urlOf(server)}/weir.v1.RouteService/ListRoutes`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  expect(list.headers.get("weir-store-damaged")).toBe(key("routes/a/chat"));
  expect(((await list.json()) as { routes: unknown[] }).routes).toHaveLength(2);
  expect(lines.join("\n")).toContain(`store-damaged: ${key("routes/a/chat")} in etcd is damaged`);
  expect((await fetch(`${urlOf(server)}/readyz`)).status).toBe(200);
});

it("keys below routes/ and rollouts/ that no route has are named, and are none", async () => {
  const { store, open, said, put, del } = await world();
  const odd = ["routes/b", "routes/B/chat", "routes/a/../b", "routes/a/chat/x", "routes/ü\u0007/x"];
  for (const path of odd) put(path, sealed("b/chat"));
  put("rollouts/x/y", "garbage");
  put("rollouts/", "garbage");
  expect(await etags(store)).toEqual(["a 1", "b 2"]);
  expect(await store.listRollouts()).toEqual([]);
  expect(await etags(open())).toEqual(["a 1", "b 2"]);
  expect(store.damaged?.().size).toBe(7);
  expect(said.every((line) => /^[\x20-\x7e]*$/.test(line))).toBe(true);
  for (const path of [...odd, "rollouts/x/y", "rollouts/"]) del(path);
  await store.list();
  expect(store.damaged?.().size).toBe(0);
});

it("a damaged rollout is as it was last known, and other rollouts go on", async () => {
  const { store, open, put, key } = await world();
  for (const namespace of ["a", "b"]) {
    const rollout = rolloutOf({});
    Object.assign(rollout.metadata ?? {}, { namespace, name: "chat" });
    const state = create(RolloutStateSchema, { rollout, phase: "progressing" });
    await store.putRollout(`${namespace}/chat`, { rollout: state, etag: "0" }, "start", author);
  }
  const before = await store.getRollout("a/chat");
  put("rollouts/a/chat", "garbage");
  expect(await store.getRollout("a/chat")).toEqual(before);
  expect((await store.listRollouts()).map(({ etag }) => etag)).toEqual(["3", "4"]);
  const other = open();
  expect(await other.getRollout("a/chat")).toEqual(before);
  expect([...(other.damaged?.().keys() ?? [])]).toEqual([key("rollouts/a/chat")]);
});

/** Follows all changes of a store from the start. */
function follow(store: Store) {
  const stop = new AbortController();
  const seen: RouteEvent[] = [];
  const done = (async () => {
    for await (const event of store.watch(0n, stop.signal)) seen.push(event);
  })();
  onTestFinished(async () => {
    stop.abort();
    await done;
  });
  return seen;
}

const digits = (sequence: number) => String(sequence).padStart(20, "0");
const entryOf = (sequence: bigint, name: string) =>
  sealRecord(
    Buffer.concat([
      Buffer.alloc(16),
      toBinary(
        AuditEntrySchema,
        create(AuditEntrySchema, {
          sequence,
          name,
          action: "apply",
          after: { ...draft(name, 99), etag: String(sequence) } as never,
        }),
      ),
    ]),
  );

it("audit entries that nobody wrote change nothing, whatever number they have", async () => {
  const { store, put, said } = await world();
  const seen = follow(store);
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(2);
  put(`audit/${digits(3)}`, entryOf(3n, "b/chat"));
  put(`audit/${digits(900)}`, entryOf(900n, "b/chat"));
  put(`audit/${digits(901)}`, "garbage");
  put("audit/x", "garbage");
  put(`audit/${digits(2)}x`, entryOf(2n, "a/chat"));
  await expect
    .poll(() => said.join("\n"), { timeout: 20_000 })
    .toMatch(/no write with this number exists/);
  expect(await etags(store)).toEqual(["a 1", "b 2"]);
  await store.put("a/chat", draft("a/chat", 20), "1", "shift", author);
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(3);
  expect(seen.map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n]);
  expect(seen[2]?.state.route?.metadata?.namespace).toBe("a");
  expect(store.staleSince?.()).toBeUndefined();
});

it("a damaged audit entry is told as such, and a replica that comes later misses no route for it", async () => {
  const { store, open, put } = await world();
  const late = open();
  const seen = follow(late);
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(2);
  put(`audit/${digits(2)}`, "garbage");
  put("history/a/chat/zzz", "");
  put(`history/a/chat/${digits(2)}`, "");
  const entries = await store.audit("", 10);
  expect(entries.map(({ action }) => action)).toEqual(["damaged", "apply"]);
  expect(await store.audit("a/chat", 10)).toHaveLength(2);
  expect((await store.audit("b/chat", 10))[0]?.action).toBe("damaged");
  // Who watches from the start is told of what is left, and of what comes.
  const again = follow(open());
  await store.put("b/chat", draft("b/chat", 20), "2", "shift", author);
  await expect
    .poll(() => again.map(({ sequence }) => sequence), { timeout: 20_000 })
    .toEqual([1n, 3n]);
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(3);
});

it("what an unreadable audit entry changed is found in the routes", async () => {
  const own = await startEtcd();
  onTestFinished(() => own.close());
  const open = () => {
    const store = openStore(own.address("weir"));
    onTestFinished(() => store.close());
    return store;
  };
  const [writer, late] = [open(), open()];
  await writer.put("a/chat", draft("a/chat"), "", "apply", author);
  const seen = follow(late);
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(1);
  // In one transaction, as a write whose entry was spoiled on its way would be.
  const state = { ...draft("a/chat", 50), etag: "2" } as never;
  const value = sealRecord(toBinary(RouteStateSchema, create(RouteStateSchema, state)));
  const { bytes, createEtcdClient, parseEtcdAddress, putOp } = await import(
    "../../control/etcd/index.ts"
  );
  const client = createEtcdClient(parseEtcdAddress(own.address("weir")));
  onTestFinished(() => client.close());
  await client.txn({
    success: [
      putOp("weir/sequence", bytes("2")),
      putOp("weir/routes/a/chat", value),
      putOp(`weir/audit/${digits(2)}`, bytes("spoiled")),
    ],
  });
  await expect
    .poll(() => seen.map(({ state: { etag } }) => etag), { timeout: 20_000 })
    .toEqual(["1", "2"]);
  await writer.put("a/chat", draft("a/chat", 60), "2", "shift", author);
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(3);
});

it("a number of the store itself that is none leaves the last copy in force, and names the key", async () => {
  const { store, put, key } = await world();
  put("sequence", "not a number");
  expect(await etags(store)).toEqual(["a 1", "b 2"]);
  expect(store.staleSince?.()).toBeInstanceOf(Date);
  await expect(store.put("a/chat", draft("a/chat", 20), "", "shift", author)).rejects.toThrow(
    `${key("sequence")} is damaged: it does not hold a number`,
  );
  put("sequence", "2");
  await expect
    .poll(
      () =>
        store
          .put("a/chat", draft("a/chat", 20), "", "shift", author)
          .then(({ etag }) => etag, String),
      { timeout: 20_000 },
    )
    .toBe("3");
});
