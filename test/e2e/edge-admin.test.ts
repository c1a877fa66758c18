import { networkInterfaces } from "node:os";
import { expect, it, onTestFinished } from "vitest";
import { findEnvoy, startEnvoy } from "../../control/envoy/index.ts";
import { bootstrap } from "../../control/xds/index.ts";
import { freePorts } from "../free-ports.ts";

/** An address of this machine that others may reach; every address where it has none. */
const outside =
  Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "0.0.0.0";

it.each([
  ["of this machine shows all of it", "127.0.0.1", 200],
  ["beyond this machine shows no configuration, and nobody ends the proxy there", outside, 403],
])("an admin interface %s", async (_, host, status) => {
  const [port = 0, xds = 0] = await freePorts(2);
  const admin = { host, port };
  const envoy = await startEnvoy({
    binary: await findEnvoy(() => {}),
    bootstrap: bootstrap({
      node: "edge",
      xds: { host: "127.0.0.1", port: xds },
      admin,
      token: "secret-token",
    }),
    admin,
    concurrency: 1,
  });
  onTestFinished(() => envoy.stop());
  const ask = async (path: string, method = "GET") =>
    fetch(`http://${host}:${port}${path}`, { method });
  expect((await ask("/config_dump")).status).toBe(status);
  expect((await ask("/stats/prometheus")).status).toBe(200);
  expect((await ask("/server_info")).status).toBe(200);
  if (status === 200) return;
  for (const path of ["/config_dump", "/clusters", "/listeners", "/certs", "/memory", "/"])
    expect(await (await ask(path)).text(), path).not.toContain("secret-token");
  for (const path of ["/quitquitquit", "/drain_listeners", "/logging", "/healthcheck/fail"])
    expect((await ask(path, "POST")).status, path).toBe(403);
});
