import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { InferenceRoute } from "../../control/gen/weir/v1/route_pb.ts";
import { createPublisher, type Publisher } from "../../control/publish/publish.ts";
import { seededRandom } from "../../control/rollout/simulate/synthetic.ts";
import { draftRoute, routeName, sameRoute, shiftWeights } from "../../control/route/index.ts";
import { createMemoryStore } from "../../control/store/memory.ts";
import { resourceTypes } from "../../control/xds/types.ts";
import { local } from "../api/control-server.ts";
import { routeWithPods } from "../rollout/world.ts";
import { createMemoryXds, type MemoryXds, type Sent } from "./memory-xds.ts";

/** `npm run test:long` runs all of them. */
const runs = process.env.WEIR_LONG ? 400 : 8;
const quietMs = 250;
const person = { principal: "ada", reason: "" };

const kinds = [
  "healthy",
  "healthy",
  "healthy",
  "always",
  "listener",
  "content",
  "once",
  "flapping",
  "mute",
] as const;
type Kind = (typeof kinds)[number];

/** What a proxy of a kind says to what it is sent. */
function saysOf(kind: Kind, random: () => number) {
  let refusals = 0;
  return ({ type, text }: Sent): { refusal?: string } | "mute" => {
    const canary = Number(/"variant":"canary","count":(\d+)/.exec(text)?.[1] ?? 0);
    const no = { refusal: kind };
    if (kind === "mute") return "mute";
    if (kind === "always" && type === "ECDS") return no;
    if (kind === "listener" && type === "LDS") return no;
    if (kind === "content" && canary > 5_000) return no;
    if (kind === "once" && canary > 0 && refusals++ === 0) return no;
    if (kind === "flapping" && random() < 0.3) return no;
    return {};
  };
}

interface Replica extends MemoryXds {
  publisher: Publisher;
}

interface Proxy {
  node: string;
  kind: Kind;
  scope: readonly string[];
  replica: Replica;
  moved: boolean;
  strangers: string[];
  leave?: () => void;
}

async function play(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const below = (count: number) => Math.floor(random() * count);
  const pick = <T>(all: readonly T[]): T => all[below(all.length)] as T;
  const store = createMemoryStore();
  const stop = new AbortController();
  const namespaces = Array.from({ length: 1 + below(5) }, (_, i) => `ns${i}`);
  const replicas = Array.from({ length: 1 + below(2) }, (): Replica => {
    const memory = createMemoryXds();
    const publisher = createPublisher({
      ...memory,
      store,
      report: () => local(1),
      gateway: local(2),
      code: () => ({ file: "/weir.wasm" }),
      removalMs: 20,
      silentMs: 40,
      log: () => {},
    });
    return { ...memory, publisher };
  });
  let people = 0;
  const names = namespaces.flatMap((namespace) => [`${namespace}/chat`, `${namespace}/code`]);
  const documentOf = (name: string, canary: number): InferenceRoute => {
    const [namespace = "", route = ""] = name.split("/");
    const document = routeWithPods(9001, 9002);
    Object.assign(document.metadata ?? {}, { namespace, name: route });
    if (document.spec) document.spec.hosts = [`${route}.${namespace}.example.com`];
    document.spec?.variants.forEach((variant, i) => {
      variant.weight = i === 0 ? 100 - canary : canary;
    });
    return document;
  };
  async function write(name: string): Promise<void> {
    const before = await store.get(name);
    const canary = pick([0, 0, 10, 20, 60, 80]);
    const document = before?.route;
    if (document === undefined || random() < 0.1) {
      const route = documentOf(name, canary);
      if (random() < 0.5)
        route.spec?.hosts.push(`x${below(100)}.${name.replace("/", ".")}.example.com`);
      if (sameRoute(document, route)) return;
      await store.put(name, draftRoute(route, before), "", "apply", person);
    } else if (random() < 0.06) await store.delete(name, "", person);
    else {
      const { route } = shiftWeights(document, { canary });
      if (route === undefined || sameRoute(document, route)) return;
      await store.put(name, draftRoute(route, before), "", "shift", person);
    }
    people++;
  }
  for (const name of names) await write(name);
  for (const { publisher } of replicas) {
    await publisher.publish();
    void publisher.follow(store.watch((await store.list()).sequence, stop.signal));
  }
  const proxies = Array.from({ length: 1 + below(40) }, (_, i): Proxy => {
    const scope = random() < 0.1 ? ["*"] : [pick(namespaces)];
    // Some share a node id, within a namespace and across.
    const node = random() < 0.1 ? "shared" : `node-${i}`;
    return { node, kind: pick(kinds), scope, replica: pick(replicas), moved: false, strangers: [] };
  });
  const connect = (proxy: Proxy) => {
    const says = saysOf(proxy.kind, random);
    const others = proxy.scope.includes("*")
      ? []
      : namespaces.filter((each) => !proxy.scope.includes(each));
    proxy.leave = proxy.replica.connect(proxy.node, proxy.scope, (sent) => {
      proxy.strangers.push(...others.filter((each) => sent.text.includes(`${each}/`)));
      return says(sent);
    });
  };
  for (const proxy of proxies) connect(proxy);
  for (let i = 0; i < 30; i++) {
    await write(pick(names));
    if (random() < 0.3) {
      const proxy = pick(proxies);
      proxy.moved = true;
      proxy.leave?.();
      if (random() < 0.8) {
        proxy.replica = pick(replicas);
        connect(proxy);
      } else delete proxy.leave;
    }
    if (random() < 0.5) await sleep(below(12));
  }

  const size = async () =>
    `${(await store.list()).sequence} ${replicas.map((each) => each.sends())}`;
  const deadline = Date.now() + 60_000;
  for (let before = ""; before !== (await size()); ) {
    expect(Date.now(), "a fixed point").toBeLessThan(deadline);
    before = await size();
    await sleep(quietMs);
  }

  const entries = (await store.audit("", 100_000)).reverse();
  const own = entries.filter(({ principal }) => principal === "weir");
  expect(own.length).toBeLessThanOrEqual(people);
  expect(entries.length).toBe(people + own.length);
  const newest = new Map<string, string>();
  for (const { name, action, before, after } of entries) {
    if (action === "take-back") {
      // Never of what Weir wrote itself, and never of nothing.
      expect(newest.get(name)).not.toBe("take-back");
      expect(sameRoute(before?.route, after?.route)).toBe(false);
    }
    newest.set(name, action);
  }
  const { routes } = await store.list();
  for (const proxy of proxies) {
    expect(proxy.strangers).toEqual([]);
    const { replica, scope, kind, node } = proxy;
    if (proxy.leave === undefined || kind !== "healthy") continue;
    const neighbours = proxies.filter(
      (each) => each.leave && each.replica === replica && each.scope.join() === scope.join(),
    );
    const member = replica.fleet
      .members()
      .find((each) => each.node === node && each.scope.join() === scope.join());
    const published = replica.publisher.published(scope);
    // A node id that several have is in step only when all of them are.
    const alone = neighbours.every((each) => each === proxy || each.node !== node);
    for (const { name } of alone ? resourceTypes : []) {
      const { version = "", resources } = published?.snapshot[name] ?? {};
      // Of what there is nothing no one is told.
      if (!resources?.size) continue;
      expect(member?.answer(name, version).state, `${node} ${name}`).toMatch(/runs|unasked/);
    }
    const concerned = proxies.filter((each) => each.scope.join() === scope.join());
    const free = concerned.every(
      (each) =>
        each.kind === "healthy" ||
        each.kind === "mute" ||
        // One that always refuses holds nothing as long as one that does not is there.
        ((each.kind === "always" || each.kind === "listener") &&
          each.replica === replica &&
          !proxy.moved &&
          alone),
    );
    if (!free || concerned.some((each) => each.node === "shared")) continue;
    const mine = routes.flatMap(({ route, etag }) => (route ? [[routeName(route), etag]] : []));
    const visible = mine.filter(
      ([name = ""]) => scope.includes("*") || scope.includes(name.split("/")[0] ?? ""),
    );
    expect([...(published?.etags ?? [])].sort()).toEqual(visible.sort());
  }
  stop.abort();
  for (const proxy of proxies) proxy.leave?.();
  for (const { publisher } of replicas) publisher.close();
  await store.close();
}

describe("random fleets that refuse at random", () => {
  it.each(Array.from({ length: runs }, (_, i) => i + 1))(
    "come to rest, by no more writes than people made: %i",
    play,
    90_000,
  );
});
