import { request as ask } from "node:http";
import { connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createHostCheck, parseHost } from "../../control/auth/hosts.ts";
import type { ControlServer } from "../../control/service/wiring/server.ts";
import { startQuietServer } from "../api/control-server.ts";

let open: ControlServer;
let guarded: ControlServer;
beforeAll(async () => {
  open = await startQuietServer({ allowedHosts: ["weir.example", "tunnel.example:9090"] });
  guarded = await startQuietServer({ token: "secret" });
});
afterAll(() => Promise.all([open, guarded].map((server) => server?.close())));

type Headers = Record<string, string>;
const path = "/weir.v1.RouteService/ListRoutes";
const json = { "content-type": "application/json" };

function over1(server: ControlServer, headers: Headers, to = path): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const { host, port } = server.listen;
    const req = ask({ host, port, path: to, method: to === path ? "POST" : "GET", headers });
    req.on("error", reject);
    req.on("response", async (res) => {
      let text = "";
      for await (const chunk of res) text += chunk;
      resolve([res.statusCode ?? 0, text]);
    });
    req.end(to === path ? "{}" : "");
  });
}

async function over2(
  server: ControlServer,
  { host, ...headers }: Headers,
): Promise<[number, string]> {
  const session = connect(`http://127.0.0.1:${server.listen.port}`);
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    ...(host === undefined ? {} : { ":authority": host }),
    ...headers,
  });
  stream.end("{}");
  const status = await new Promise<number>((resolve, reject) => {
    stream.on("response", (answer) => resolve(Number(answer[":status"])));
    stream.on("error", reject);
  });
  let text = "";
  for await (const chunk of stream) text += chunk;
  session.destroy();
  return [status, text];
}

/** `PORT` stands for the one that is listened on. */
const filled = (headers: Headers, { listen }: ControlServer): Headers => ({
  ...json,
  ...Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replace("PORT", `${listen.port}`)]),
  ),
});

const own = "127.0.0.1:PORT";
const rows: [string, Headers, number, string][] = [
  ["its own address", { host: own }, 200, ""],
  ["localhost", { host: "localhost:PORT" }, 200, ""],
  ["upper case and a trailing dot", { host: "LocalHost.:PORT" }, 200, ""],
  ["another loopback address", { host: "127.8.0.1:PORT" }, 200, ""],
  ["IPv6", { host: "[::1]:PORT" }, 200, ""],
  ["IPv6 in its long form", { host: "[0:0:0:0:0:0:0:1]:PORT" }, 200, ""],
  ["an allowed name with any port", { host: "WEIR.example:77" }, 200, ""],
  ["an allowed name with its port", { host: "tunnel.example:9090" }, 200, ""],
  [
    "an allowed name with another port",
    { host: "tunnel.example:9091" },
    403,
    "tunnel.example:9091",
  ],
  ["a name that was rebound", { host: "evil.example:PORT" }, 403, "--allowed-host"],
  [
    "a name that was rebound, with its Origin",
    {
      host: "evil.example:PORT",
      origin: "http://evil.example:PORT",
      "sec-fetch-site": "same-origin",
    },
    403,
    "evil.example",
  ],
  [
    "a name that begins like an address",
    { host: "127.0.0.1.evil.example:PORT" },
    403,
    "evil.example",
  ],
  ["a name below localhost's", { host: "localhost.evil.example:PORT" }, 403, "evil.example"],
  ["another address", { host: "10.0.0.1:PORT" }, 403, "10.0.0.1"],
  ["an address beyond loopback in IPv6", { host: "[fe80::1]:PORT" }, 403, "fe80"],
  ["another port", { host: "127.0.0.1:1" }, 403, "127.0.0.1:1"],
  ["no port", { host: "localhost" }, 403, "localhost"],
  [
    "the page's own Origin",
    { host: own, origin: "http://127.0.0.1:PORT", "sec-fetch-site": "same-origin" },
    200,
    "",
  ],
  ["another site's Origin", { host: own, origin: "http://evil.example" }, 403, "Origin"],
  ["the Origin of another port", { host: own, origin: "http://127.0.0.1:1" }, 403, "Origin"],
  [
    "the Origin of another name for it",
    { host: own, origin: "http://localhost:PORT" },
    403,
    "Origin",
  ],
  ["an Origin of nothing", { host: own, origin: "null" }, 403, "null"],
  [
    "the word of a browser that it is another site",
    { host: own, "sec-fetch-site": "cross-site" },
    403,
    "Sec-Fetch-Site",
  ],
  [
    "the word of a browser that it is a site beside it",
    { host: own, "sec-fetch-site": "same-site" },
    403,
    "same-site",
  ],
  ["what is typed into a browser", { host: own, "sec-fetch-site": "none" }, 200, ""],
  ["what is no host", { host: "[" }, 400, "HOST:PORT"],
  ["a host with a name and a word", { host: "ada@127.0.0.1:PORT" }, 400, "HOST:PORT"],
  ["a port that is none", { host: "127.0.0.1:99999" }, 400, "HOST:PORT"],
];

describe.each([
  ["HTTP/1.1", over1],
  ["HTTP/2", over2],
] as const)("an open API, over %s", (_version, send) => {
  it.each(rows)("answers a request for %s as it should", async (_what, headers, status, says) => {
    const [got, text] = await send(open, filled(headers, open));
    expect([got, text]).toEqual([status, expect.stringContaining(says)]);
    if (status !== 200) expect(JSON.parse(text)).toMatchObject({ message: expect.any(String) });
  });
});

it("an open API answers nothing but health and the page without a name of its own", async () => {
  const evil = { host: "evil.example" };
  for (const to of ["/", "/app.js", "/metrics", "/nothing"])
    expect((await over1(open, evil, to))[0]).toBe(403);
  for (const to of ["/healthz", "/readyz"]) expect((await over1(open, evil, to))[0]).toBe(200);
  // Whoever follows a link gets the page; what the page asks for is of its own origin.
  const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
  expect((await over1(open, link, "/"))[0]).toBe(200);
  expect((await over1(open, link, "/metrics"))[0]).toBe(403);
});

describe("an API that asks who its callers are", () => {
  const token = { authorization: "Bearer secret" };
  it.each<[string, Headers, number]>([
    ["any name", { host: "weir.weir-system.svc:8080" }, 200],
    [
      "a page of its own behind a proxy that writes another Host",
      { host: "weir:8080", origin: "https://weir.example", "sec-fetch-site": "same-origin" },
      200,
    ],
    ["a page of its own", { host: "weir.example", origin: "http://weir.example" }, 200],
    [
      "a page of another site",
      { host: "weir.example", origin: "http://evil.example", "sec-fetch-site": "cross-site" },
      403,
    ],
    [
      "a page of another site in a browser that says little",
      { host: "weir.example", origin: "http://evil.example" },
      403,
    ],
    ["what is no host", { host: "[" }, 400],
  ])("takes %s as it should", async (_what, headers, status) => {
    expect((await over1(guarded, filled({ ...token, ...headers }, guarded)))[0]).toBe(status);
    expect((await over2(guarded, filled({ ...token, ...headers }, guarded)))[0]).toBe(status);
  });
});

it.each(["open", "guarded"])(
  "a request that names no host is refused, and the %s API goes on",
  async (which) => {
    const server = which === "open" ? open : guarded;
    const socket = connectTcp(server.listen.port, "127.0.0.1");
    const head = `POST ${path} HTTP/1.0\r\nauthorization: Bearer secret\r\ncontent-type: application/json\r\n`;
    socket.write(`${head}content-length: 2\r\n\r\n{}`);
    let text = "";
    for await (const chunk of socket) text += chunk;
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect((await over1(server, { host: "x" }, "/healthz"))[0]).toBe(200);
  },
);

it.each([
  ["weir.example", { hostname: "weir.example" }],
  ["WEIR.example.:80", { hostname: "weir.example", port: 80 }],
  ["127.1:8080", { hostname: "127.0.0.1", port: 8080 }],
  ["[::1]", { hostname: "[::1]" }],
  ["", undefined],
  [".", undefined],
  ["::1", undefined],
  ["a:65536", undefined],
  ["a/b", undefined],
  ["a b", undefined],
  ["http://a", undefined],
])("the host %j is read as what it is", (text, host) => {
  expect(parseHost(text)).toEqual(host);
});

it("an allowed host that is none is an error at start", () => {
  expect(() => createHostCheck({ guarded: false, allowed: ["a/b"] })).toThrow("a/b is not HOST");
});
