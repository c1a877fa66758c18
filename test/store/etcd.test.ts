import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { draftRoute } from "../../control/route/index.ts";
import {
  openStore,
  type RouteEvent,
  type Store,
  StoreUnavailableError,
} from "../../control/store/index.ts";
import { messageWith } from "../route/documents.ts";
import { makeCertificates } from "./certificates.ts";
import { storeContract } from "./contract.ts";
import { type EtcdCluster, type EtcdOptions, startEtcd } from "./etcd-cluster.ts";

const author = { principal: "tester", reason: "etcd" };
const draft = (canary = 10) => draftRoute(messageWith({ stable: 100 - canary, canary }), undefined);

let etcd: EtcdCluster;
let used = 0;
const fresh = () => etcd.address(`weir-${used++}`);
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd?.close());

/** A store that is closed when its test is over, however it ends. */
function opened(address: string): Store {
  const store = openStore(address);
  onTestFinished(() => store.close());
  return store;
}

/** A cluster of the test's own. */
async function ownEtcd(options?: EtcdOptions): Promise<EtcdCluster> {
  const cluster = await startEtcd(options);
  onTestFinished(() => cluster.close());
  return cluster;
}

storeContract("etcd", async () => ({ store: openStore(fresh()), remove: async () => {} }));

/** Events of a watch, as they come. */
function follow(events: AsyncIterable<RouteEvent>, stop: AbortController) {
  const seen: bigint[] = [];
  const done = (async () => {
    for await (const { sequence } of events) seen.push(sequence);
  })();
  return {
    seen,
    async until(count: number) {
      await expect.poll(() => seen.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(count);
    },
    async end() {
      stop.abort();
      await done;
    },
  };
}

describe("a thousand who ask at once", () => {
  /** Questions that etcd was asked so far. */
  async function asked(cluster: EtcdCluster): Promise<number> {
    const text = await (await fetch(`http://${cluster.endpoints[0]}/metrics`)).text();
    return [
      ...text.matchAll(/^grpc_server_started_total\{grpc_method="(?:Range|Txn)".*\} (\S+)$/gm),
    ]
      .map(([, count]) => Number(count))
      .reduce((sum, count) => sum + count, 0);
  }

  it("cost etcd a few readings, and see each write", { timeout: 120_000 }, async () => {
    const cluster = await ownEtcd();
    const store = opened(cluster.address("many"));
    await store.put("n/r", draft(1), "", "apply", author);
    const before = await asked(cluster);
    expect(before).toBeGreaterThan(0);
    const lists = await Promise.all(Array.from({ length: 1_000 }, () => store.list()));
    expect(new Set(lists.map(({ sequence }) => sequence))).toEqual(new Set([1n]));
    const stop = new AbortController();
    const watches = Array.from({ length: 1_000 }, () => follow(store.watch(1n, stop.signal), stop));
    await new Promise((resolve) => setImmediate(resolve));
    expect((await asked(cluster)) - before).toBeLessThan(20);
    await store.put("n/r", draft(2), "1", "apply", author);
    for (const watch of watches) await watch.until(1);
    expect(watches.every(({ seen }) => seen[0] === 2n)).toBe(true);
    for (const watch of watches) await watch.end();
  });

  it("see what was written before they asked", async () => {
    const address = fresh();
    const [reader, writer] = [opened(address), opened(address)];
    for (let i = 1; i <= 20; i++) {
      const early = Array.from({ length: 5 }, () => reader.list());
      await writer.put(`n/r${i}`, draft(i), "", "apply", author);
      expect((await reader.list()).sequence).toBe(BigInt(i));
      await Promise.all(early);
    }
  });
});

describe("several replicas on one etcd", () => {
  it("see each other's writes, in one order", async () => {
    const address = fresh();
    const [a, b] = [opened(address), opened(address)];
    const stop = new AbortController();
    const watch = follow(b.watch(0n, stop.signal), stop);
    for (let i = 0; i < 10; i++)
      await (i % 2 ? a : b).put(`n/r${i}`, draft(i), "", "apply", author);
    await watch.until(10);
    expect(watch.seen).toEqual(Array.from({ length: 10 }, (_, i) => BigInt(i + 1)));
    expect((await a.list()).routes).toEqual((await b.list()).routes);
    await watch.end();
  });

  it("lose no write and number none twice when all write at once", async () => {
    const address = fresh();
    const stores = Array.from({ length: 4 }, () => opened(address));
    await Promise.all(
      stores.map(async (store, writer) => {
        for (let i = 0; i < 10; i++)
          await store.put(`n/w${writer}-${i}`, draft(), "0", "apply", author);
      }),
    );
    const [store] = stores;
    const entries = (await store?.audit("", 100)) ?? [];
    expect(entries.map(({ sequence }) => Number(sequence))).toEqual(
      Array.from({ length: 40 }, (_, i) => 40 - i),
    );
    expect((await store?.list())?.routes).toHaveLength(40);
  });
});

describe("a watch on etcd", () => {
  it("misses nothing when etcd is restarted and compacted meanwhile", async () => {
    const own = await ownEtcd();
    const store = opened(own.address("weir"));
    const stop = new AbortController();
    const watch = follow(store.watch(0n, stop.signal), stop);
    await store.put("n/r", draft(1), "", "apply", author);
    await watch.until(1);
    await own.kill(0);
    await expect(store.put("n/r", draft(2), "", "shift", author)).rejects.toThrow(
      StoreUnavailableError,
    );
    await own.start(0);
    const other = opened(own.address("weir"));
    for (let i = 0; i < 5; i++) await other.put("n/r", draft(3 + i), "", "shift", author);
    const { header } = JSON.parse(own.ctl(["get", "x", "-w", "json"]));
    own.ctl(["compact", String(header.revision)]);
    await other.put("n/r", draft(50), "", "shift", author);
    const { sequence } = await other.list();
    await watch.until(Number(sequence));
    expect(watch.seen).toEqual(Array.from({ length: Number(sequence) }, (_, i) => BigInt(i + 1)));
    expect(await other.audit("n/r", 100)).toHaveLength(Number(sequence));
    await watch.end();
  });
});

describe("an etcd store that cannot be used", () => {
  it("keeps what it knows when etcd has lost its data, says so, and writes nothing", async () => {
    const address = fresh();
    const store = opened(address);
    const put = await store.put("n/r", draft(1), "", "apply", author);
    await store.put("n/r", draft(2), put.etag, "shift", author);
    await store.list();
    etcd.ctl(["del", "--prefix", `${address.split("/").at(-1)}/`]);
    const kept = await store.list();
    expect(kept.sequence).toBe(2n);
    expect(kept.routes).toHaveLength(1);
    expect((await store.get("n/r"))?.etag).toBe("2");
    expect(store.staleSince?.()).toBeInstanceOf(Date);
    await expect(store.put("n/r", draft(3), "", "shift", author)).rejects.toThrow(
      /etcd has lost changes: its \S+sequence is 0 and was 2/,
    );
    expect(etcd.ctl(["get", "--prefix", `${address.split("/").at(-1)}/routes`])).toBe("");
  });

  it("is reported with where it is", async () => {
    const store = opened("etcd://127.0.0.1:1");
    await expect(store.list()).rejects.toThrow(/etcd does not answer.*127\.0\.0\.1:1/);
  });

  it("is refused when a newer weir wrote it", async () => {
    const address = fresh();
    etcd.ctl(["put", `${address.split("/").at(-1)}/layout`, "2"]);
    const store = opened(address);
    await expect(store.list()).rejects.toThrow(/has layout 2; this version of weir reads layout 1/);
  });

  it.each([
    ["etcd://", /the etcd address must be etcd:\/\/HOST:PORT/],
    ["etcd://a:1,b", /"b" in the etcd address is not HOST:PORT/],
    ["etcd://a:70000", /port from 1 to 65535/],
    ["etcd://a:1?pass=x", /unknown option "pass"/],
    ["etcd://a:1?cert=package.json", /both cert and key/],
    ["etcd://a:1?ca=/nonexistent", /cannot read the etcd address's ca file \/nonexistent/],
    ["etcd://a:1?user=root", /user root needs a password/],
  ])("%s is refused", (address, why) => {
    expect(() => openStore(address)).toThrow(why);
  });
});

describe("a replica whose etcd member lost the others", () => {
  it("reads what it last saw and says since when, and takes no write; then goes on", async () => {
    const cluster = await ownEtcd({ members: 3 });
    const store = opened(cluster.address("weir"));
    await store.put("n/r", draft(1), "", "apply", author);
    const { sequence } = await store.list();
    expect(store.staleSince?.()).toBeUndefined();
    // Its own write is what it last saw, whether or not the watch has brought it back by now.
    const written = await store.put("n/r", draft(5), "", "shift", author);
    cluster.pause(0);
    cluster.pause(1);
    const before = { routes: [written], sequence: sequence + 1n };
    expect(await store.list()).toEqual(before);
    expect(store.staleSince?.()).toBeInstanceOf(Date);
    await expect(store.put("n/r", draft(2), "", "shift", author)).rejects.toThrow(
      StoreUnavailableError,
    );
    expect(await store.get("n/r")).toEqual(before.routes[0]);
    cluster.resume(0);
    cluster.resume(1);
    await expect
      .poll(async () => [(await store.list()).sequence > 0n, store.staleSince?.()], {
        timeout: 20_000,
      })
      .toEqual([true, undefined]);
    await store.put("n/r", draft(3), "", "shift", author);
  });
});

describe("an etcd that asks who is there", () => {
  it("lets in a user with its password, over TLS with a certificate, and nobody else", async () => {
    const files = makeCertificates(["client"]);
    onTestFinished(() => files.remove());
    const own = await ownEtcd({
      scheme: "https",
      flags: [
        ...["--cert-file", files.cert("server"), "--key-file", files.key("server")],
        ...["--client-cert-auth", "--trusted-ca-file", files.ca],
      ],
      ctlFlags: [
        ...[`--cacert=${files.ca}`, `--cert=${files.cert("client")}`],
        ...[`--key=${files.key("client")}`],
      ],
    });
    const tls = `ca=${files.ca}&cert=${files.cert("client")}&key=${files.key("client")}`;
    const password = join(files.directory, "password");
    writeFileSync(password, "root-secret\n");
    own.ctl(["user", "add", "root:root-secret"]);
    own.ctl(["user", "grant-role", "root", "root"]);
    own.ctl(["auth", "enable"]);
    const address = own.address("weir");
    const store = opened(`${address}?${tls}&user=root&password-file=${password}`);
    await store.put("n/r", draft(), "", "apply", author);
    // Every change of etcd's users ends all tokens.
    own.ctl(["--user=root:root-secret", "user", "add", "other:other-secret"]);
    await store.put("n/r", draft(20), "", "shift", author);
    expect((await store.list()).sequence).toBe(2n);
    for (const [query, why] of [
      [tls, /etcd refused: etcdserver: permission denied/],
      [`ca=${files.ca}`, /etcd does not answer/],
      [`${tls}&user=root&password-file=${files.ca}`, /etcd refused: .*authentication failed/],
    ] as const) {
      const refused = opened(`${address}?${query}`);
      await expect(refused.list()).rejects.toThrow(why);
    }
  });
});
