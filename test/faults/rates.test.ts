import { createServer as createHttp1, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { anonymous, type Principal } from "../../control/auth/index.ts";
import { RouteService } from "../../control/gen/weir/v1/service_pb.ts";
import { createRates } from "../../control/service/calls/rates.ts";
import { refusal } from "../api/control-server.ts";

const report = "/weir.v1.ReportService/Report";
const list = "/weir.v1.RouteService/ListRoutes";
const one: Principal = {
  name: "token",
  grants: [
    { role: "admin", namespaces: ["*"] },
    { role: "proxy", namespaces: ["*"], nodes: ["*"] },
  ],
};
const proxies: Principal = {
  name: "proxies",
  grants: [{ role: "proxy", namespaces: ["a"], nodes: ["*"] }],
};

/** How many of so many calls at one moment are let through. */
function admitted(caller: Principal, url: string, calls: number, rates = createRates(() => 0)) {
  const from = (remoteAddress: string) =>
    ({ url, headers: {}, socket: { remoteAddress } }) as unknown as IncomingMessage;
  const nowhere = { writeHead: () => nowhere, end: () => {} } as unknown as ServerResponse;
  const count = (address: string, calls: number) =>
    Array.from({ length: calls }, () => rates(from(address), nowhere, caller)).filter((no) => !no)
      .length;
  return { here: count("127.0.0.1", calls), elsewhere: count("127.0.0.2", 1) };
}

it.each([
  ["an address of an open service", anonymous, list, 4_000, 1],
  ["the one token", one, list, 4_000, 0],
  ["the credential of proxies", proxies, list, 4_000, 0],
  ["the reports of an open service", anonymous, report, 40_000, 1],
  ["the reports of proxies", proxies, report, 40_000, 0],
])("%s has a rate", (_who, caller, url, burst, elsewhere) => {
  expect(admitted(caller, url, burst + 100)).toEqual({ here: burst, elsewhere });
});

const transports: [string, (baseUrl: string) => Transport, 1 | 2][] = [
  ["Connect, HTTP/1.1", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1" }), 1],
  ["Connect, HTTP/2", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" }), 2],
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl }), 2],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }), 1],
];

it.each(transports)(
  "who calls too often is told so, and when to come back: %s",
  async (_name, transport, version) => {
    const rates = createRates(() => 0);
    admitted(one, list, 4_000, rates);
    const answer = (req: IncomingMessage, res: ServerResponse) => void rates(req, res, one);
    const server = version === 1 ? createHttp1(answer) : createHttp2(answer as never);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const routes = createClient(RouteService, transport(`http://127.0.0.1:${port}`));
    const error = await refusal(routes.listRoutes({}));
    expect([error.code, error.rawMessage]).toEqual([
      Code.ResourceExhausted,
      "more than 2000 calls per second: retry in 1 s",
    ]);
    expect(
      error.metadata.get("retry-after") ?? error.metadata.get("grpc-retry-pushback-ms"),
    ).toMatch(/^1(000)?$/);
    const watch = routes.watchRoute({})[Symbol.asyncIterator]();
    expect((await refusal(watch.next())).code).toBe(Code.ResourceExhausted);
  },
);
