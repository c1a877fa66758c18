import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { describe, expect, it, onTestFinished } from "vitest";
import { guardStore } from "../../control/api/index.ts";
import { RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { openStore, type Store } from "../../control/store/index.ts";
import { refusal, startQuietServer, urlOf } from "../api/control-server.ts";
import { exampleRoute } from "../route/documents.ts";
import { openRequests } from "./open-requests.ts";

const transports: [string, (baseUrl: string) => Transport][] = [
  ["Connect, HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect, HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
];

/** The API in front of a store whose writes wait until they are let through. */
async function startSlow() {
  const stop = new AbortController();
  const store = openStore("memory");
  let through = () => {};
  const mayGoOn = new Promise<void>((resolve) => {
    through = resolve;
  });
  let waiting = 0;
  const slow: Store = {
    ...store,
    async put(...change) {
      waiting++;
      await mayGoOn;
      return store.put(...change);
    },
  };
  const onRequest = openRequests(
    { store: guardStore(slow), hosts: async () => new Map() },
    stop.signal,
  );
  const server = createServer(onRequest as never);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    waiting: () => waiting,
    through,
    end: () =>
      stop.abort(new ConnectError("the control service is shutting down", Code.Unavailable)),
  };
}

describe("calls at the end of the service", () => {
  it.each(transports)(
    "that come while it ends are told that nothing was stored: %s",
    async (_name, transport) => {
      const server = await startQuietServer();
      const routes = createClient(RouteService, transport(urlOf(server)));
      await routes.applyRoute({ route: exampleRoute() });
      const closed = server.close();
      const [apply, list] = await Promise.all([
        refusal(routes.applyRoute({ route: exampleRoute(), etag: "9" })),
        refusal(routes.listRoutes({})),
      ]);
      expect([apply.code, apply.rawMessage]).toEqual([
        Code.Unavailable,
        "the control service is shutting down: nothing of this call was stored",
      ]);
      expect([list.code, list.rawMessage]).toEqual([
        Code.Unavailable,
        "the control service is shutting down",
      ]);
      await closed;
    },
  );

  it("is not ready any more once it ends", async () => {
    const server = await startQuietServer();
    const closed = server.close();
    const answer = await fetch(`${urlOf(server)}/readyz`);
    expect([answer.status, await answer.text()]).toEqual([
      503,
      "the control service is shutting down\n",
    ]);
    await closed;
  });

  it.each(transports.slice(1, 3))(
    "that are under way and end in time are answered: %s",
    async (_name, transport) => {
      const api = await startSlow();
      const routes = createClient(RouteService, transport(api.url));
      const applied = routes.applyRoute({ route: exampleRoute() });
      await expect.poll(api.waiting, { timeout: 50_000 }).toBe(1);
      api.end();
      api.through();
      expect((await applied).created).toBe(true);
    },
  );

  it.each(transports.slice(1, 3))(
    "that do not end in time are told that it may have been stored: %s",
    async (_name, transport) => {
      const api = await startSlow();
      const routes = createClient(RouteService, transport(api.url));
      const apply = refusal(routes.applyRoute({ route: exampleRoute() }));
      await expect.poll(api.waiting, { timeout: 50_000 }).toBe(1);
      api.end();
      expect([(await apply).code, (await apply).rawMessage]).toEqual([
        Code.Unavailable,
        "the control service is shutting down: this call was not finished in time; its change may or may not be stored",
      ]);
    },
  );
});
