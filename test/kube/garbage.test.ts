import { expect, it } from "vitest";
import type { KubeClient, KubeObject } from "../../control/kube/index.ts";
import { draftRoute } from "../../control/route/index.ts";
import { openStore } from "../../control/store/index.ts";
import { createChangeLog } from "../../control/store/kube/change-log.ts";
import { changeName, stateAnnotation } from "../../control/store/kube/names.ts";
import { changeObject } from "../../control/store/kube/record.ts";
import {
  readRouteObject,
  specDigest,
  writeRouteObject,
} from "../../control/store/kube/route-object.ts";
import { messageWith } from "../route/documents.ts";

const author = { principal: "ada", reason: "garbage" };
const name = "inference/chat";

async function stored() {
  const store = openStore("memory");
  const draft = draftRoute(messageWith({ stable: 90, canary: 10 }), undefined);
  const state = await store.put(name, draft, "", "apply", author);
  const [entry] = await store.audit("", 1);
  await store.close();
  if (entry === undefined) throw new Error("no entry");
  return { state, entry };
}

it("whatever stands in a route's state annotation, the object can be read, and it counts as edited", async () => {
  const { state } = await stored();
  const object = writeRouteObject(name, state, undefined, undefined) as KubeObject;
  expect(readRouteObject(object)).toMatchObject({ edited: false, sequence: 1n });
  const route = readRouteObject(object).route;
  if (route === undefined) throw new Error("no route");
  const good = {
    sequence: "1",
    spec: specDigest(route),
    updated: new Date(0).toISOString(),
    buckets: [
      ["stable", 9000],
      ["canary", 1000],
    ],
  };
  const forged = [
    "",
    "null",
    "[]",
    "7",
    "{",
    JSON.stringify("x".repeat(200_000)),
    `${"[".repeat(100_000)}`,
    ...[
      { sequence: "-1" },
      { sequence: "1e9" },
      { sequence: 1 },
      { sequence: true },
      { sequence: "9".repeat(100_000) },
      { spec: null },
      { updated: "yesterday" },
      { updated: "+275760-09-13T00:00:00.000Z" },
      { updated: 5 },
      { buckets: null },
      { buckets: [null] },
      {
        buckets: [
          ["stable", -1],
          ["canary", 10_001],
        ],
      },
      { buckets: [["stable", 1e300]] },
      {
        buckets: [
          ["stable", 0.5],
          ["canary", 9_999.5],
        ],
      },
      { buckets: [[{}, 10_000]] },
      { buckets: [["stable", 9_000]] },
      { buckets: Array.from({ length: 1_000 }, () => ["x", 0]) },
    ].map((change) => JSON.stringify({ ...good, ...change })),
  ];
  for (const text of forged) {
    const annotations = { ...object.metadata.annotations, [stateAnnotation]: text };
    const read = readRouteObject({ ...object, metadata: { ...object.metadata, annotations } });
    expect([text.slice(0, 80), read.edited, read.sequence, read.state]).toEqual([
      text.slice(0, 80),
      true,
      0n,
      undefined,
    ]);
    expect(read.route?.spec).toEqual(route.spec);
  }
});

it("changes that are damaged or forged keep no other from being read, nor the next from being written", async () => {
  const { entry } = await stored();
  const told: string[] = [];
  const said: string[] = [];
  const log = createChangeLog(
    {} as KubeClient,
    "weir-system",
    ({ sequence, name }) => told.push(`${sequence} ${name}`),
    (line) => said.push(line),
  );
  const change = (sequence: bigint, route: string, spec: Record<string, unknown> = {}) => {
    const after = { ...(entry.after as NonNullable<typeof entry.after>) };
    const object = changeObject(
      { ...entry, after, sequence, name: route },
      1n,
      "weir-system",
    ) as KubeObject;
    return { ...object, spec: { ...object.spec, ...spec } } as KubeObject;
  };
  const renamed = (object: KubeObject, to: string): KubeObject => ({
    ...object,
    metadata: { ...object.metadata, name: to },
  });
  log.takeAll([
    change(1n, "a/chat"),
    change(2n, "b/chat", { entry: "garbage" }),
    change(3n, "c/chat", { fence: "not a number" }),
    renamed(change(1n, "a/evil"), changeName(4n)),
    change(5n, "d/chat", { route: "a/chat" }),
    change(6n, "e/chat", { effect: "delete" }),
    change(900n, "f/chat", { entry: "" }),
    renamed(change(1n, "a/evil"), "change-9999999999999999"),
    renamed(change(1n, "a/evil"), "CHANGE-0000000000000007"),
  ]);
  expect(told).toEqual(["1 a/chat", "3 c/chat"]);
  expect(log.newest()).toBe(6n);
  expect(log.fence()).toBe(1n);
  expect(said).toHaveLength(5);
  log.take(change(7n, "g/chat", { entry: "garbage" }));
  log.take(change(9n, "g/chat", { entry: "garbage" }));
  expect(log.newest()).toBe(7n);
  log.take(change(8n, "h/chat"));
  expect(told).toEqual(["1 a/chat", "3 c/chat", "8 h/chat"]);
  expect(log.names().sort()).toEqual(["a/chat", "c/chat", "h/chat"]);
});
