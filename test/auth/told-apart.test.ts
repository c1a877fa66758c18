import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sha256Hex } from "../../control/auth/index.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { type ApiClients, clientsOf } from "../api/clients.ts";
import { refusal, startQuietServer, urlOf } from "../api/control-server.ts";
import { type FakeProxy, startFakeProxy } from "../rollout/fake-proxy.ts";
import { routeWithPods } from "../rollout/world.ts";

const patience = { timeout: 20_000 };
const words = "cluster b/secret-model/stable is not to my taste";

const grants: Record<string, object> = {
  root: { role: "admin" },
  ada: { role: "admin", namespaces: ["a"] },
  both: { role: "admin", namespaces: ["a", "b"] },
  "proxy-a": { role: "proxy", namespaces: ["a"], nodes: ["*"] },
  "proxy-both": { role: "proxy", namespaces: ["a", "b"], nodes: ["*"] },
  "proxy-all": { role: "proxy", nodes: ["*"] },
};

let directory: string;
let server: ControlServer;
let proxy: FakeProxy | undefined;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-told-apart-"));
  const access = join(directory, "access.yaml");
  const tokens = Object.entries(grants).map(([name, grant]) => ({
    name,
    sha256: sha256Hex(name),
    ...grant,
  }));
  writeFileSync(access, JSON.stringify({ tokens }));
  server = await startQuietServer({ access });
});
afterEach(async () => {
  proxy?.close();
  proxy = undefined;
  await server?.close();
  rmSync(directory, { recursive: true, force: true });
});

const as = (token: string): ApiClients => clientsOf(urlOf(server), { token });

function routeIn(namespace: string, name: string, host: string) {
  const route = routeWithPods(9001, 9002);
  if (route.metadata) Object.assign(route.metadata, { namespace, name });
  if (route.spec) route.spec.hosts = [host];
  return route;
}

describe("a host that another route has", () => {
  it.each([
    ["ada", "a/mine", true],
    ["ada", "b/secret", false],
    ["both", "b/secret", true],
    ["root", "b/secret", true],
  ])("tells %s of %s as far as it may be seen: %s", async (who, owner, named) => {
    const [namespace = "", name = ""] = owner.split("/");
    await as("root").routes.applyRoute({ route: routeIn(namespace, name, "chat.example.com") });
    const thief = routeIn("a", "thief", "chat.example.com");
    const { routes } = as(who);
    for (const call of [
      () => routes.applyRoute({ route: thief }),
      () => routes.applyRoute({ route: thief, dryRun: true }),
      () => routes.planRoute({ route: thief }),
      () => routes.renderRoute({ route: thief, target: "istio" }),
    ]) {
      const error = await refusal(call());
      expect(error.rawMessage).toContain("host chat.example.com already belongs to");
      // Of the message and of all that comes with it.
      const told = JSON.stringify([error.rawMessage, error.details], (_key, value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value,
      );
      expect(told.includes(owner)).toBe(named);
      if (!named) expect(told).not.toMatch(/secret|b\//);
    }
  });
});

describe("the audit of a shift that was taken back", () => {
  it.each([
    ["of this namespace alone", "proxy-a", true],
    ["of another namespace as well", "proxy-both", false],
    ["of all namespaces", "proxy-all", false],
  ])(
    "holds the words of a proxy %s only if its readers may see all of it",
    async (_of, token, quoted) => {
      const { routes } = as("root");
      await routes.applyRoute({ route: routeIn("a", "chat", "a.example.com") });
      await routes.applyRoute({ route: routeIn("b", "secret-model", "b.example.com") });
      const headers = { authorization: `Bearer ${token}` };
      proxy = startFakeProxy(server.xds.port, "first", { headers });
      const applied = async () => (await routes.getRoute({ name: "a/chat" })).applied;
      await expect.poll(applied, patience).toMatchObject({ applied: 1, wanted: 1 });
      proxy.refusal = words;
      await routes.shiftWeights({ name: "a/chat", weights: { canary: 70 } });
      const newest = async (who: string) =>
        (await as(who).audit.listAudit({ name: "a/chat", limit: 1 })).entries[0];
      await expect.poll(() => newest("ada"), patience).toMatchObject({ action: "take-back" });
      for (const who of ["ada", "both", "root"]) {
        const reason = (await newest(who))?.reason ?? "";
        expect(reason).toMatch(/^first refused ECDS: /);
        expect(reason.includes("secret-model")).toBe(quoted);
      }
    },
  );
});
