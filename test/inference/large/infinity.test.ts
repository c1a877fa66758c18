import { afterAll, beforeAll, expect, it } from "vitest";
import { counted } from "../../e2e/counted.ts";
import { type BehindWeir, hostOf, inferenceRoute, startBehindWeir } from "../behind-weir.ts";
import { expectSame } from "../same-answer.ts";
import { startTap, type Tap } from "../tap.ts";
import { usageIn } from "../usage.ts";
import { type LargeServer, startInfinity } from "./servers.ts";

const requests = 2_000;
let weir: BehindWeir;
let infinity: LargeServer;
let tap: Tap;

const asked: readonly [name: string, path: string, body: object, status: number][] = [
  ["one text", "/v1/embeddings", { model: "tiny", input: "A river" }, 200],
  ["several texts", "/v1/embeddings", { model: "tiny", input: ["A river", "\u6cb3\u6d41"] }, 200],
  // With one model it asks for no name.
  ["a wrong model", "/v1/embeddings", { model: "large", input: "A river" }, 200],
  ["a bad body", "/v1/embeddings", { model: "tiny", input: 7 }, 422],
];
const routeOf = (name: string) => name.replaceAll(" ", "-");

beforeAll(async () => {
  infinity = await startInfinity();
  tap = await startTap(infinity.endpoint);
  weir = await startBehindWeir();
  const server = "infinity";
  await weir.apply(
    ...asked.map(([name]) => inferenceRoute(routeOf(name), { stable: tap.endpoint }, { server })),
    inferenceRoute("many", { stable: infinity.endpoint }, { server }),
  );
}, 1_800_000);
afterAll(async () => {
  await weir?.stop();
  tap?.close();
  await infinity?.stop();
});

it.each(asked)(
  "%s: the answer and its tokens are the server's",
  async (name, path, body, status) => {
    const headers = { host: hostOf(routeOf(name)), "x-tenant-id": "acme", "x-case": name };
    const answer = await weir.client.post(path, body, headers);
    const passed = tap.passed.get(name) ?? expect.fail("the pod answered nothing");
    expect(passed.status, passed.body.toString()).toBe(status);
    expectSame(body, answer, passed);
    const { prompt } = usageIn(passed);
    const route = `route="inference/${routeOf(name)}"`;
    await expect
      .poll(() => counted(weir.server, "weir_tokens_total", 'kind="prompt"', route))
      .toBe(prompt);
  },
);

it(`answers each of ${requests} requests, and none fails`, async () => {
  const failed: number[] = [];
  let sent = 0;
  const one = async () => {
    while (sent++ < requests) {
      const body = { model: "tiny", input: `river ${sent}` };
      const { status } = await weir.client.post("/v1/embeddings", body, { host: hostOf("many") });
      if (status !== 200) failed.push(status);
    }
  };
  await Promise.all(Array.from({ length: 8 }, one));
  expect(failed).toEqual([]);
}, 600_000);
