import { afterEach, describe, expect, it } from "vitest";
import { type Backend, startBackend } from "./backend.ts";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, type GatewayOptions, startGateway } from "./gateway.ts";
import { openSocket, parseAnswer, rawRequest, readToEnd, sendRaw } from "./raw-client.ts";

// Which address a caller has: of the connection, or of what a trusted proxy says.

let pod: Backend | undefined;
let gateway: Gateway | undefined;
afterEach(async () => {
  await gateway?.stop();
  await pod?.close();
});

const known = ["::1", "203.0.113.7", "2001:db8::7"];

/** A gateway where callers from known addresses are served and all others share one request. */
async function start(options: GatewayOptions): Promise<Gateway> {
  pod = await startBackend("stable");
  gateway = await startGateway(options);
  await gateway.apply(
    edgeRoute(pod.endpoint, {
      rateLimit: {
        identity: [{ sourceIp: true }],
        tiers: {
          free: { requestsPerSecond: 1000, burst: 1000 },
          once: { requestsPerSecond: 0.0001, burst: 1 },
        },
        tenants: Object.fromEntries(known.map((address) => [address, "free"])),
        default: "once",
      },
    }),
  );
  return gateway;
}

async function status(url: string, headers: string[] = [], before = ""): Promise<number> {
  return (await sendRaw(url, before + rawRequest("/v1/models", headers))).status;
}

it("a tenant is the client's IPv6 address, without brackets", async () => {
  const { url } = await start({ host: "::1" });
  for (let i = 0; i < 5; i++) expect(await status(url)).toBe(200);
});

it("by default no one's word is taken for an address", async () => {
  const { url } = await start({});
  const claims = ["x-forwarded-for: 203.0.113.7"];
  expect(await status(url, claims)).toBe(200);
  for (let i = 0; i < 3; i++) expect(await status(url, claims)).toBe(429);
  // Nor is the line of a proxy that no one announced: it is no HTTP.
  expect(await status(url, [], "PROXY TCP4 203.0.113.7 10.0.0.1 1234 80\r\n")).toBe(400);
});

it("the entry that a trusted proxy wrote is the address, those before it are not", async () => {
  const { url } = await start({ edge: { trustedHops: 1 } });
  for (let i = 0; i < 3; i++) {
    expect(await status(url, ["x-forwarded-for: 198.51.100.1, 203.0.113.7"])).toBe(200);
    expect(await status(url, ["x-forwarded-for: 2001:db8::7"])).toBe(200);
  }
  const spoofed = ["x-forwarded-for: 203.0.113.7, 198.51.100.1"];
  expect(await status(url, spoofed)).toBe(200);
  for (let i = 0; i < 3; i++) expect(await status(url, spoofed)).toBe(429);
});

it("behind two trusted proxies the entry before the last is the address", async () => {
  const { url } = await start({ edge: { trustedHops: 2 } });
  for (let i = 0; i < 3; i++)
    expect(await status(url, ["x-forwarded-for: 198.51.100.1, 203.0.113.7, 10.0.0.9"])).toBe(200);
  const spoofed = ["x-forwarded-for: 203.0.113.7, 198.51.100.1, 10.0.0.9"];
  expect(await status(url, spoofed)).toBe(200);
  for (let i = 0; i < 3; i++) expect(await status(url, spoofed)).toBe(429);
});

describe("a tenant that is a range of addresses", () => {
  const tiers = {
    wide: { requestsPerSecond: 1000, burst: 1000, tokensPerMinute: 60_000 },
    narrow: { requestsPerSecond: 1000, burst: 1000, tokensPerMinute: 7000 },
    once: { requestsPerSecond: 0.0001, burst: 1, tokensPerMinute: 0 },
  };
  const ranged = (endpoint: string) =>
    edgeRoute(endpoint, {
      rateLimit: {
        identity: [{ header: "x-tenant-id" }, { sourceIp: true }],
        tiers,
        tenants: {
          "10.0.0.0/8": "wide",
          "10.1.0.0/16": "narrow",
          "10.1.2.3": "wide",
          "2001:db8::/32": "narrow",
          "::1": "wide",
        },
        default: "once",
      },
    });

  it("is told by Envoy's address in every form, for requests and for tokens", async () => {
    pod = await startBackend("stable");
    gateway = await startGateway({ host: "::1", edge: { trustedHops: 1 } });
    await gateway.apply(ranged(pod.endpoint));
    const { url } = gateway;
    const limitOf = async (headers: string[]) => {
      const body = '{"messages":[]}';
      const all = [...headers, "content-type: application/json", `content-length: ${body.length}`];
      const { head } = await sendRaw(url, rawRequest("/v1/chat/completions", all, "POST") + body);
      return /^x-ratelimit-limit-tokens: (\d+)/m.exec(head)?.[1];
    };
    for (const [from, limit] of [
      ["10.200.0.1", "60000"],
      ["10.1.9.9", "7000"],
      ["10.1.2.3", "60000"],
      ["::ffff:10.1.9.9", "7000"],
      ["::ffff:a01:909", "7000"],
      ["2001:DB8:0:0:0:0:0:7", "7000"],
      ["2001:db8::7", "7000"],
    ])
      for (let i = 0; i < 2; i++)
        expect(await limitOf([`x-forwarded-for: ${from}`]), from).toBe(limit);
    expect(await limitOf(["x-forwarded-for: ::1"])).toBe("60000");
    // Strangers, and who only says so, share the one request that there is.
    for (const headers of [
      ["x-forwarded-for: 11.0.0.1"],
      ["x-forwarded-for: 2001:db9::1"],
      ["x-forwarded-for: 11.0.0.1", "x-tenant-id: 10.0.0.0/8"],
      ["x-forwarded-for: 11.0.0.1", "x-weir-tenant: 10.0.0.0/8"],
    ])
      expect(["0", undefined]).toContain(await limitOf(headers));
  });
});

describe("with the PROXY protocol", () => {
  it("its address is the caller's, in both versions, and who does not speak it is cut", async () => {
    const { url } = await start({ edge: { proxyProtocol: true } });
    for (let i = 0; i < 3; i++) {
      expect(await status(url, [], "PROXY TCP4 203.0.113.7 10.0.0.1 1234 80\r\n")).toBe(200);
      expect(await status(url, [], version2("20010db8000000000000000000000007"))).toBe(200);
    }
    const stranger = "PROXY TCP4 198.51.100.1 10.0.0.1 1234 80\r\n";
    expect(await status(url, [], stranger)).toBe(200);
    expect(await status(url, ["x-forwarded-for: 203.0.113.7"], stranger)).toBe(429);
    expect(await status(url)).toBe(0);
    const socket = await openSocket(url);
    const all = readToEnd(socket);
    socket.write("PROXY TCP4 nonsense\r\n");
    expect(parseAnswer(await all).status).toBe(0);
  });
});

/** A header of the binary version: one TCP connection over IPv6 from that address. */
function version2(source: string): string {
  const signature = "0d0a0d0a000d0a515549540a";
  const ports = "04d20050";
  return Buffer.from(`${signature}21210024${source}${source}${ports}`, "hex").toString("latin1");
}
