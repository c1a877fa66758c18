import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { parseRoutes } from "../../control/route/index.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { local, startQuietServer, urlOf } from "../api/control-server.ts";
import { accessibilityProblems, startBrowser } from "./browser.ts";
import { takePicture } from "./picture.ts";

const validMs = 30_000;

describe("the page without a right to ask, and without its server", () => {
  let browser: Browser;
  let page: Page;
  let directory: string;
  let server: ControlServer;
  const start = (port = 0) =>
    startQuietServer({
      listen: local(port),
      store: `lmdb:${join(directory, "store")}`,
      access: join(directory, "access.yaml"),
    });
  /** An access file in which `short` holds for a while from now. */
  function allow(): void {
    const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
    const expires = new Date(Date.now() + validMs).toISOString();
    const tokens = [
      { name: "ada", sha256: sha256("long"), role: "admin" },
      { name: "eve", sha256: sha256("short"), role: "viewer", expires },
    ];
    writeFileSync(join(directory, "access.yaml"), stringify({ tokens }));
  }
  const picture = (name: string) => takePicture(page, name, false);

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "weir-away-"));
    browser = await startBrowser();
    page = await browser.newPage({ viewport: { width: 1200, height: 500 } });
    allow();
    server = await start();
    const transport = createConnectTransport({
      baseUrl: urlOf(server),
      httpVersion: "1.1",
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", "Bearer long");
          return next(request);
        },
      ],
    });
    const { routes } = parseRoutes(readFileSync("examples/canary/route.yaml", "utf8"));
    const [route] = routes;
    if (route) await createClient(RouteService, transport).applyRoute({ route });
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
    rmSync(directory, { recursive: true });
  });

  async function signIn(token: string): Promise<void> {
    await page.getByLabel("token").fill(token);
    await page.getByRole("button", { name: "sign in" }).click();
  }
  const live = () => page.getByText("live", { exact: true }).waitFor();
  const row = () => page.getByRole("row", { name: /inference\/chat/ });

  it("asks for a token, and says when it is a wrong one", async () => {
    await page.goto(urlOf(server));
    await page.getByText("not signed in", { exact: true }).waitFor();
    expect(await accessibilityProblems(page)).toEqual([]);
    await picture("sign-in");
    await signIn("made up");
    await page.getByText("not signed in: the token is wrong or has expired").waitFor();
  });

  it("keeps what it shows when the token expires, and goes on with another", {
    timeout: 180_000,
  }, async () => {
    await signIn("short");
    await live();
    await row().waitFor();
    await page
      .getByText("not signed in: the token is wrong or has expired")
      .waitFor({ timeout: 3 * validMs });
    expect(await row().count()).toBe(1);
    await picture("expired");
    await signIn("long");
    await live();
  });

  it("says that the server is away, and comes back with it", async () => {
    const { port } = server.listen;
    await server.close();
    await page
      .getByRole("alert")
      .getByText(/cannot reach the control service: .*retrying/s)
      .waitFor();
    expect(await row().count()).toBe(1);
    expect(await accessibilityProblems(page)).toEqual([]);
    await picture("away");
    server = await start(port);
    await live();
    await row().waitFor();
  });
});
