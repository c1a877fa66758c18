import { create } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { createSurroundings } from "../../control/controller/foreign-objects.ts";
import { createUnresolved } from "../../control/controller/unresolved.ts";
import { RouteStateSchema } from "../../control/gen/weir/v1/service_pb.ts";
import {
  type KubeClient,
  KubeError,
  type KubeObject,
  type WatchEvent,
} from "../../control/kube/index.ts";
import { exampleRoute } from "../route/documents.ts";

const gateways = "/apis/networking.istio.io/v1/gateways";

function object(name: string, namespace: string, spec: Record<string, unknown>): KubeObject {
  const metadata = { name, namespace, resourceVersion: "1" };
  return { apiVersion: "v1", kind: "", metadata, spec } as KubeObject;
}

/** What lies around the example route, kept by an API server that says only what it is told to. */
async function surrounded(forbidden: readonly string[] = []) {
  const events: Record<string, (event: WatchEvent) => void> = {};
  const lists: Record<string, KubeObject[]> = {
    "/api/v1/services": [object("llm", "inference", { ports: [{ port: 8000 }] })],
    [gateways]: [object("public", "istio-system", { servers: [] })],
  };
  const client = {
    async get(path: string) {
      const bare = path.replace(/\?.*/, "");
      if (forbidden.includes(bare)) throw new KubeError(403, "Forbidden", "may not");
      return {} as KubeObject;
    },
    async list(path: string, _selector: string, page: (items: KubeObject[]) => void) {
      page(lists[path] ?? []);
      return "1";
    },
    async *watch(path: string, _selector: string, _after: string, signal: AbortSignal) {
      while (!signal.aborted)
        yield await new Promise<WatchEvent>((resolve) => {
          events[path] = resolve;
        });
    },
  } as unknown as KubeClient;
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const around = createSurroundings(
    client,
    "weir",
    () => {},
    stop.signal,
    () => {},
  );
  await around.ready;
  return {
    around,
    /** Resolves when the follower was told and asks for the next event. */
    async tell(path: string, type: WatchEvent["type"], changed: KubeObject) {
      await expect.poll(() => events[path]).toBeTypeOf("function");
      const resolve = events[path];
      delete events[path];
      resolve?.({ type, object: changed });
      await expect.poll(() => events[path]).toBeTypeOf("function");
    },
  };
}

function routes(...etags: string[]) {
  return etags.map((etag, i) => {
    const route = exampleRoute();
    Object.assign(route.metadata ?? {}, { name: `chat-${i}` });
    return create(RouteStateSchema, { route, etag });
  });
}

it("a route is looked at again only when it or what is around it changed, and then at once", async () => {
  const { around, tell } = await surrounded();
  const unresolved = createUnresolved();
  const ids = (...etags: string[]) =>
    [...unresolved.of(routes(...etags), around.now())].map(([name, found]) => [
      name,
      ...found.map(({ id }) => id),
    ]);
  const fine = [["inference/chat-0"], ["inference/chat-1"]];

  expect(ids("1", "2")).toEqual(fine);
  expect(unresolved.looks()).toBe(2);
  for (let pass = 0; pass < 10; pass++) expect(ids("1", "2")).toEqual(fine);
  expect(unresolved.looks()).toBe(2);

  expect(ids("1", "3")).toEqual(fine);
  expect(unresolved.looks()).toBe(3);

  // Nothing that a route refers to is in a status.
  const gateway = object("public", "istio-system", { servers: [] });
  await tell(gateways, "MODIFIED", { ...gateway, status: { conditions: [] } });
  expect(ids("1", "3")).toEqual(fine);
  expect(unresolved.looks()).toBe(3);

  await tell(gateways, "DELETED", gateway);
  const missing = fine.map(([name]) => [name, "gateway-missing"]);
  expect(ids("1", "3")).toEqual(missing);
  expect(unresolved.looks()).toBe(5);

  await tell("/api/v1/services", "MODIFIED", object("llm", "inference", { ports: [{ port: 80 }] }));
  const both = fine.map(([name]) => [name, "service-missing", "gateway-missing"]);
  expect(ids("1", "3")).toEqual(both);
  expect(unresolved.looks()).toBe(7);

  await tell(gateways, "ADDED", gateway);
  expect(ids("1", "3")).toEqual(fine.map(([name]) => [name, "service-missing"]));
  expect(unresolved.looks()).toBe(9);

  // One that went and came again is another one.
  expect(ids("1")).toEqual([["inference/chat-0", "service-missing"]]);
  expect(ids("1", "4").length).toBe(2);
  expect(unresolved.looks()).toBe(10);
});

it("of a kind that may not be read in one of its groups nothing is said", async () => {
  const { around, tell } = await surrounded(["/apis/gateway.networking.k8s.io/v1/gateways"]);
  expect([...around.now().unread]).toEqual(["Gateway"]);
  await tell(gateways, "DELETED", object("public", "istio-system", {}));
  expect([...createUnresolved().of(routes("1"), around.now()).values()]).toEqual([[]]);
});
