import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { toJson } from "@bufbuild/protobuf";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { InferenceRouteSchema } from "../../control/gen/weir/v1/route_pb.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { clientsOf } from "../api/clients.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { freePorts } from "../free-ports.ts";
import { routeWithPods } from "../rollout/world.ts";
import { startBrowser } from "./browser.ts";

// What anyone who runs an open service may have in a tab beside it, in a browser that does as
// browsers do: sends Origin, Host and Sec-Fetch-Site by itself, and keeps answers from pages.

const read = "/weir.v1.RouteService/ListRoutes";
const write = "/weir.v1.RouteService/ApplyRoute";

async function startSite(port: number): Promise<Server> {
  const site = createServer((_req, res) => {
    res.setHeader("content-type", "text/html").end("<title>a site</title>");
  });
  await new Promise<void>((resolve) => site.listen(port, "127.0.0.1", resolve));
  return site;
}

async function endSite(site: Server): Promise<void> {
  const closed = new Promise((resolve) => site.close(resolve));
  site.closeAllConnections();
  await closed;
}

/** What became of a request in the page: a status, or that the page is told nothing. */
type Outcome = { status: number; text: string } | "told nothing";

describe("beside an open service on loopback", () => {
  let browser: Browser;
  let server: ControlServer;
  /** Serves the pages of another site. */
  let site: Server;
  let body: string;

  beforeAll(async () => {
    server = await startQuietServer();
    site = await startSite(0);
    // As a name server answers that is evil.example's own.
    browser = await startBrowser(["--host-resolver-rules=MAP *.example 127.0.0.1"]);
    body = JSON.stringify({ route: toJson(InferenceRouteSchema, routeWithPods(9001, 9002)) });
  });
  afterAll(async () => {
    await browser?.close();
    await endSite(site);
    await server?.close();
  });

  const written = async (at = server) =>
    (await clientsOf(urlOf(at)).routes.listRoutes({})).routes.length;

  async function pageAt(url: string): Promise<Page> {
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    await page.goto(url);
    return page;
  }

  const ask = (page: Page, to: string, text: string, init: RequestInit = {}) =>
    page.evaluate(
      async ([to, text, init]): Promise<Outcome> => {
        try {
          const headers = { "content-type": "application/json" };
          const answer = await fetch(to, { method: "POST", body: text, headers, ...init });
          if (answer.type === "opaque") return "told nothing";
          return { status: answer.status, text: await answer.text() };
        } catch {
          return "told nothing";
        }
      },
      [to, text, init] as const,
    );

  it("a page whose name was rebound to it reads and writes nothing", async () => {
    const [port = 0] = await freePorts(1);
    const evil = await startSite(port);
    const page = await pageAt(`http://evil.example:${port}/`);
    expect(await page.title()).toBe("a site");
    // The name is another server's from here on, as a name server's second answer would have it.
    await endSite(evil);
    const server = await startQuietServer({ listen: { host: "127.0.0.1", port } });
    onTestFinished(() => server.close());
    for (const [to, text] of [
      [read, "{}"],
      [write, body],
    ] as const)
      expect(await ask(page, to, text)).toMatchObject({ status: 403 });
    const got = await page.evaluate(
      async (to) => {
        const answers = [];
        for (const path of to) answers.push((await fetch(path)).status);
        return answers;
      },
      ["/metrics", "/index.html", `${read}?connect=v1&encoding=json&message=%7B%7D`],
    );
    expect(got).toEqual([403, 403, 403]);
    // Its own name is what it is refused for: the rest is as the service's own page sends it.
    expect(await ask(page, read, "{}")).toMatchObject({
      text: expect.stringContaining("evil.example"),
    });
    expect(await written(server)).toBe(0);
  });

  it.each([
    ["as any script may", {}],
    ["without asking to be told", { mode: "no-cors" }],
    ["as a form sends it", { mode: "no-cors", headers: { "content-type": "text/plain" } }],
    ["with what the browser knows of the service", { mode: "no-cors", credentials: "include" }],
  ] as [string, RequestInit][])(
    "a page of another site reads and writes nothing, %s",
    async (_how, init) => {
      const page = await pageAt(
        `http://other.test.example:${(site.address() as AddressInfo).port}/`,
      );
      for (const host of ["127.0.0.1", "localhost"])
        for (const [to, text] of [
          [read, "{}"],
          [write, body],
        ] as const)
          expect(await ask(page, `http://${host}:${server.listen.port}${to}`, text, init)).toBe(
            "told nothing",
          );
      expect(await written()).toBe(0);
    },
  );

  it("a form of another site, which needs no script, writes nothing", async () => {
    const page = await pageAt(`http://other.test.example:${(site.address() as AddressInfo).port}/`);
    // Text that is JSON: the name, an equals sign within a string, and the value.
    const name = `${body.slice(0, -1)},"x":"`;
    const answer = page.waitForNavigation();
    await page.evaluate(
      ([to, name]) => {
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", action: to, enctype: "text/plain" });
        const input = document.createElement("input");
        Object.assign(input, { name, value: '"}' });
        form.append(input);
        document.body.append(form);
        form.submit();
      },
      [`${urlOf(server)}${write}`, name] as const,
    );
    expect((await answer)?.status()).toBe(403);
    expect(await written()).toBe(0);
  });

  it.each(["localhost", "127.0.0.1"])("its own page at %s reads and writes", async (host) => {
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    await page.goto(`http://${host}:${server.listen.port}/`);
    await page
      .getByText(/Routes/)
      .first()
      .waitFor();
    expect(await ask(page, write, body)).toMatchObject({ status: 200 });
    expect(await ask(page, read, "{}")).toMatchObject({
      status: 200,
      text: expect.stringContaining("chat"),
    });
    expect(await written()).toBe(1);
  });
});
