import { readFileSync } from "node:fs";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ReportService } from "../../control/gen/weir/v1/report_pb.ts";
import { RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { SignalService } from "../../control/gen/weir/v1/signals_pb.ts";
import { parseRoutes } from "../../control/route/index.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { startQuietServer, urlOf } from "../api/control-server.ts";
import { accessibilityProblems, errorsOf, startBrowser } from "./browser.ts";

const [route] = parseRoutes(readFileSync("examples/shadow/route.yaml", "utf8")).routes;
if (route?.spec === undefined) throw new Error("the example is not right");
const name = `${route.metadata?.namespace}/${route.metadata?.name}`;
const soon = { timeout: 30_000 };

describe("the shadow of a route, in a real browser", soon, () => {
  let server: ControlServer;
  let routes: Client<typeof RouteService>;
  let browser: Browser;
  let page: Page;
  let errors: string[];
  /** As one proxy's filters count since they began. */
  const counted = { requests: 0, tagged: 0 };

  beforeAll(async () => {
    server = await startQuietServer();
    routes = createClient(RouteService, transport());
    await routes.applyRoute({ route });
    browser = await startBrowser();
    page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    errors = errorsOf(page);
    await page.goto(`${urlOf(server)}/#/routes/${name}`);
    await page.getByRole("heading", { name }).waitFor();
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  const transport = () => createConnectTransport({ baseUrl: urlOf(server), httpVersion: "1.1" });
  const epoch = (BigInt(Date.now() + 60_000) * 1_000_000n).toString(16).padStart(16, "0");
  async function report(requests: number, tagged: number): Promise<void> {
    counted.requests += requests;
    counted.tagged += tagged;
    await createClient(ReportService, transport()).report({
      node: "edge",
      epoch,
      counters: [
        { name: "canary_requests", route: name, label: "stable", value: BigInt(counted.requests) },
        { name: "shadow_tagged", route: name, value: BigInt(counted.tagged) },
      ],
    });
  }
  const words = () => page.getByText("are tagged as shadow traffic");
  const share = async () => /\((.*) of all\)/.exec((await words().textContent()) ?? "")?.[1];
  const told = async () => {
    const { routes } = await createClient(SignalService, transport()).listSignals({ name });
    const { shadowPerSecond = 0, total } = routes[0] ?? {};
    return shadowPerSecond / (total?.requestsPerSecond || Number.NaN);
  };

  it("is named among the variants, and has no share while nobody sends anything", async () => {
    await page.getByRole("row", { name: /^next shadow 0 %/ }).waitFor();
    expect(await words().textContent()).toBe("0.0 requests/s are tagged as shadow traffic");
    expect(await accessibilityProblems(page)).toEqual([]);
  });

  it("has the share that the API tells, and another one when the API tells another", async () => {
    // Signals are of what comes after the service has looked at the route once.
    const moved = async () => {
      await report(400, 20);
      return told();
    };
    await expect.poll(moved, { ...soon, interval: 500 }).toBeCloseTo(0.05, 6);
    await expect.poll(share, soon).toBe("5.0 %");
    expect(await words().textContent()).toMatch(
      /^([1-9]\d*|0)\.?\d* requests\/s \(5\.0 % of all\)/,
    );
    await report(counted.requests, counted.requests);
    expect(await told()).toBeGreaterThan(0.3);
    const asTold = async () => (await share()) === `${(100 * (await told())).toFixed(1)} %`;
    await expect.poll(asTold, soon).toBe(true);
    expect(await share()).not.toBe("5.0 %");
    expect(errors).toEqual([]);
  });

  it("is not shown of a route that has none any more, and again when it has one", async () => {
    const { state } = await routes.getRoute({ name });
    const without = state?.route;
    if (without?.spec === undefined) throw new Error("the route is gone");
    const { shadow } = without.spec;
    delete without.spec.shadow;
    await routes.applyRoute({ route: without });
    await words().waitFor({ state: "detached" });
    expect(await page.getByText("shadow", { exact: true }).count()).toBe(0);
    if (shadow) without.spec.shadow = shadow;
    await routes.applyRoute({ route: without });
    await words().waitFor();
    expect(errors).toEqual([]);
  });
});
