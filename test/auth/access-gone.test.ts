import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createGate, PolicyError, sha256Hex } from "../../control/auth/index.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";

function accessFile(content: string): string {
  const directory = mkdtempSync(join(tmpdir(), "weir-access-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "access.yaml");
  writeFileSync(file, content);
  return file;
}

it.each([
  ["nothing", ""],
  ["a comment", "# later\n"],
  ["lists of nothing", "tokens: []\ncertificates: []\n"],
  ["null", "null"],
])("an access file with %s is refused: tokens made from it anyone could make", (_, content) => {
  const access = accessFile(content);
  expect(() => createGate({ access })).toThrow(PolicyError);
  expect(() => createGate({ access, token: "secret" })).toThrow(/is empty: it needs at least one/);
});

it("an access file that is emptied, or goes, while the service runs opens nothing", async () => {
  const access = accessFile(
    JSON.stringify({ tokens: [{ name: "root", sha256: sha256Hex("root-token"), role: "admin" }] }),
  );
  const server = await startQuietServer({ access });
  onTestFinished(() => server.close());
  const list = async (token?: string) => {
    const answer = await fetch(`${urlOf(server)}/weir.v1.RouteService/ListRoutes`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(token ? { authorization: `Bearer ${token}` } : {}),
      },
      body: "{}",
    });
    return answer.status;
  };
  expect([await list(), await list("root-token")]).toEqual([401, 200]);
  writeFileSync(access, "");
  expect([await list(), await list("root-token"), await list("other")]).toEqual([401, 200, 401]);
  rmSync(access);
  expect([await list(), await list("root-token"), await list("other")]).toEqual([401, 200, 401]);
});
