import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type DrillExpiry, expireDrills } from "../../control/drill/index.ts";
import { FaultSchema, type InferenceRoute } from "../../control/gen/weir/v1/route_pb.ts";
import { draftRoute } from "../../control/route/index.ts";
import { openStore, type Store } from "../../control/store/index.ts";
import { exampleRoute } from "../route/documents.ts";

const author = { principal: "ada", reason: "a drill" };
const name = "inference/chat";
let store: Store;
let expiry: DrillExpiry | undefined;
/** The service's clock; it stands still until a test moves it, however busy the machine is. */
let nowMs = 0;

beforeEach(async () => {
  nowMs = Date.now();
  store = await openStore("memory");
});
afterEach(async () => {
  expiry?.close();
  await store.close();
});

function route(untilMs?: number): InferenceRoute {
  const route = exampleRoute();
  const fault = create(FaultSchema, {
    cutAfter: { seconds: 1n },
    ...(untilMs === undefined ? {} : { until: timestampFromMs(untilMs) }),
  });
  if (route.spec) route.spec.fault = fault;
  return route;
}
const put = (given: InferenceRoute) =>
  store.put(name, draftRoute(given, undefined), "", "apply", author);
const faulty = async () => (await store.get(name))?.route?.spec?.fault !== undefined;

it("takes a fault away when its time is over, and says so in the audit", async () => {
  expiry = expireDrills(
    store,
    () => {},
    () => nowMs,
  );
  await put(route(nowMs + 300));
  expect(await faulty()).toBe(true);
  nowMs += 300;
  await expect.poll(faulty, { timeout: 10_000 }).toBe(false);
  const [entry] = await store.audit(name, 1);
  expect(entry).toMatchObject({
    action: "drill-end",
    principal: "weir",
    reason: "the time of the drill is over",
  });
});

it("takes away at its start what outlived a service that was down", async () => {
  await put(route(Date.now() - 60_000));
  expiry = expireDrills(store, () => {});
  await expect.poll(faulty, { timeout: 10_000 }).toBe(false);
});

it("leaves a fault without an end, and follows an end that is put off", async () => {
  expiry = expireDrills(
    store,
    () => {},
    () => nowMs,
  );
  await put(route());
  await put(route(nowMs + 200));
  await put(route(nowMs + 3_600_000));
  // A drill of another route that ends later than the first end has ended.
  const other = "inference/later";
  const later = route(nowMs + 300);
  if (later.metadata) later.metadata.name = "later";
  if (later.spec) later.spec.hosts = ["later.example.com"];
  await store.put(other, draftRoute(later, undefined), "", "apply", author);
  nowMs += 300;
  await expect
    .poll(async () => (await store.get(other))?.route?.spec?.fault, { timeout: 10_000 })
    .toBeUndefined();
  expect(await faulty()).toBe(true);
});

it("tries again while the store cannot be written", async () => {
  let failures = 2;
  const words: string[] = [];
  expiry = expireDrills(
    {
      list: () => store.list(),
      watch: (after, signal) => store.watch(after, signal),
      put: (...args) =>
        failures-- > 0 ? Promise.reject(new Error("disk full")) : store.put(...args),
    },
    (line) => words.push(line),
  );
  await put(route(Date.now() + 50));
  await expect.poll(faulty, { timeout: 15_000 }).toBe(false);
  expect(words).toEqual(
    Array(2).fill("could not remove the fault of a drill whose time is over: disk full"),
  );
});
