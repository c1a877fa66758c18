import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ProblemsSchema } from "../../control/gen/weir/v1/service_pb.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { exampleRoute } from "../route/documents.ts";
import { clientsOf } from "./clients.ts";
import { refusal, startQuietServer, urlOf } from "./control-server.ts";

// What is asked is long and wrong; what is answered is short, and blames no store.

const directory = mkdtempSync(join(tmpdir(), "weir-long-"));
let server: ControlServer;
let clients: ReturnType<typeof clientsOf>;
beforeAll(async () => {
  server = await startQuietServer({ store: `lmdb:${directory}` });
  clients = clientsOf(urlOf(server));
  await clients.routes.applyRoute({ route: exampleRoute() });
});
afterAll(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

const shortLength = 1000;

describe("a name that no route can have", () => {
  it.each([
    ["a megabyte long", "a".repeat(1_000_000)],
    ["with more parts than two", "a/b/c"],
    ["with a NUL", "a\0/b"],
    ["that climbs", "../../etc"],
  ])("%s is not found, in few words", async (_what, name) => {
    for (const ask of [
      () => clients.routes.getRoute({ name }),
      () => clients.routes.deleteRoute({ name }),
      () => clients.routes.shiftWeights({ name, weights: { canary: 1 } }),
      () => clients.rollouts.getRollout({ name }),
    ]) {
      const error = await refusal(ask());
      expect(error.code).toBe(Code.NotFound);
      expect(error.rawMessage.length).toBeLessThan(shortLength);
    }
    expect((await clients.audit.listAudit({ name })).entries).toEqual([]);
  });
});

it("an etag of a megabyte is stale, in few words", async () => {
  const etag = "x".repeat(1_000_000);
  const error = await refusal(
    clients.routes.shiftWeights({ name: "chat", weights: { canary: 1 }, etag }),
  );
  expect(error.code).toBe(Code.Aborted);
  expect(error.rawMessage.length).toBeLessThan(shortLength);
});

it("fifty thousand weights are one problem", async () => {
  const weights = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`v${i}`, 1]));
  const error = await refusal(clients.routes.shiftWeights({ name: "chat", weights }));
  expect(error.rawMessage).toBe("weights: weights must name at most 16 variants, not 50000");
});

it("of ten thousand tenants without a tier a hundred are told, and how many there are", async () => {
  const route = exampleRoute();
  const limit = route.spec?.rateLimit;
  if (!limit) throw new Error("the example limits no rate");
  limit.tenants = Object.fromEntries(Array.from({ length: 9_999 }, (_, i) => [`t${i}`, "none"]));
  const error = await refusal(clients.routes.planRoute({ route }));
  expect(error.rawMessage).toMatch(/and 9998 more/);
  expect(error.findDetails(ProblemsSchema)[0]?.problems).toHaveLength(100);
});
