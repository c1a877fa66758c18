import { readFileSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import type { AddressInfo } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Certificates, makeCertificates } from "../store/certificates.ts";
import { edgeRoute } from "./edge-route.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { openSocket, parseAnswer, rawRequest, readToEnd, readUntil } from "./raw-client.ts";
import { type MountedSecret, mountSecret } from "./tls-files.ts";

// TLS towards clients, with files that are on the Envoy's machine alone.

let pod: Server;
let open: ServerResponse | undefined;
let first: Certificates;
let second: Certificates;

beforeAll(async () => {
  first = makeCertificates(["ada"]);
  second = makeCertificates(["ada"]);
  pod = createServer((req, res) => {
    if (req.url !== "/stream") return void res.end("{}");
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.write("data: first\n\n");
    open = res;
    return undefined;
  });
  await new Promise<void>((resolve) => pod.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  pod?.closeAllConnections();
  pod?.close();
  for (const each of [first, second]) each?.remove();
});

const route = (spec: object = {}) =>
  edgeRoute(`127.0.0.1:${(pod.address() as AddressInfo).port}`, spec);
const filesOf = (certificates: Certificates) => ({
  "tls.crt": certificates.cert("server"),
  "tls.key": certificates.key("server"),
  "ca.crt": certificates.ca,
});
const authority = ({ ca }: Certificates) => readFileSync(ca);
const identity = (of: Certificates) => ({
  cert: readFileSync(of.cert("ada")),
  key: readFileSync(of.key("ada")),
});

/** Connects as a client that trusts both authorities; rejects where the gateway does not let it in. */
function openTls(url: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const ca = [authority(first), authority(second)];
    const socket = connect(
      { host: "127.0.0.1", port: Number(new URL(url).port), ca, ...options },
      () => resolve(socket),
    );
    socket.on("error", reject);
  });
}

/** Asks once; status 0 where there is no answer. With TLS 1.3 a client learns only now that it is refused. */
async function ask(url: string, options?: ConnectionOptions): Promise<number> {
  const socket = await openTls(url, options).catch(() => undefined);
  if (socket === undefined) return 0;
  const all = readToEnd(socket);
  socket.write(rawRequest("/v1/models"));
  return parseAnswer(await all).status;
}

/** Fingerprint of the certificate that the gateway shows now. */
async function shown(url: string, options?: ConnectionOptions): Promise<string> {
  const socket = await openTls(url, options);
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

describe.each([
  ["state of the world", false],
  ["incremental xDS", true],
])("with a certificate, by %s", (_name, delta) => {
  let gateway: Gateway;
  let mounted: MountedSecret;
  beforeAll(async () => {
    mounted = mountSecret(filesOf(first));
    const tls = { cert: mounted.path("tls.crt"), key: mounted.path("tls.key") };
    gateway = await startGateway({ delta, edge: { tls, headersTimeoutMs: 800 } });
    await gateway.apply(route());
  });
  afterAll(async () => {
    await gateway?.stop();
    mounted?.remove();
  });

  it("clients speak HTTP/1.1 and HTTP/2, as they choose", async () => {
    const socket = await openTls(gateway.url, { ALPNProtocols: ["http/1.1"] });
    expect(socket.alpnProtocol).toBe("http/1.1");
    socket.destroy();
    expect(await ask(gateway.url)).toBe(200);
    const session = connectHttp2(gateway.url.replace("http:", "https:"), {
      ca: authority(first),
    });
    const stream = session.request({ ":path": "/v1/models", ":authority": "chat.example.com" });
    const status = await new Promise((resolve, reject) => {
      stream.on("response", (headers) => resolve(headers[":status"]));
      stream.on("error", reject);
    });
    expect(status).toBe(200);
    expect(session.alpnProtocol).toBe("h2");
    session.destroy();
  });

  it("TLS before 1.2 is refused", async () => {
    const old = { minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    expect(await ask(gateway.url, { ...old, maxVersion: "TLSv1.2" })).toBe(200);
    await expect(openTls(gateway.url, { ...old, maxVersion: "TLSv1.1" })).rejects.toThrow(
      /protocol version/,
    );
  });

  it("clear text, and a handshake that does not come to its end, are closed", async () => {
    const clear = await openSocket(gateway.url);
    const answer = readToEnd(clear);
    clear.write(rawRequest("/v1/models"));
    expect(parseAnswer(await answer).status).toBe(0);
    expect(await readToEnd(await openSocket(gateway.url))).toBe("");
  });

  it("a certificate that is renewed is shown to new connections, and the open ones go on", async () => {
    const before = await shown(gateway.url);
    const streaming = await openTls(gateway.url);
    streaming.write(rawRequest("/stream"));
    await readUntil(streaming, (text) => text.includes("data: first"));
    mounted.put(filesOf(second));
    await expect.poll(() => shown(gateway.url), { timeout: 20_000 }).not.toBe(before);
    expect(await ask(gateway.url, { ca: authority(second) })).toBe(200);
    const rest = readUntil(streaming, (text) => text.includes("data: last"));
    open?.end("data: last\n\n");
    expect(await rest).toContain("data: last");
    const listeners = await (await fetch(`${gateway.admin}/stats?filter=listener_manager`)).text();
    expect(listeners).toMatch(/^listener_manager\.listener_create_success: 2$/m);
    expect(listeners).toMatch(/^listener_manager\.listener_modified: 0$/m);
  });
});

it("a certificate without its key is not taken, and the one before stays", async () => {
  const mounted = mountSecret(filesOf(first));
  const tls = { cert: mounted.path("tls.crt"), key: mounted.path("tls.key") };
  const gateway = await startGateway({ edge: { tls } });
  try {
    await gateway.apply(route());
    await expect.poll(() => ask(gateway.url), { timeout: 20_000 }).toBe(200);
    const before = await shown(gateway.url);
    const failed = async () =>
      (await fetch(`${gateway.admin}/stats?filter=key_rotation_failed`)).text();
    expect(await failed()).toMatch(/: 0$/m);
    mounted.put({ "tls.crt": second.cert("server"), "tls.key": first.key("server") });
    await expect.poll(failed, { timeout: 20_000 }).toMatch(/: [1-9]/);
    expect(await shown(gateway.url)).toBe(before);
  } finally {
    await gateway.stop();
    mounted.remove();
  }
});

describe("with an authority of the clients", () => {
  let gateway: Gateway;
  let mounted: MountedSecret;
  beforeAll(async () => {
    mounted = mountSecret(filesOf(first));
    const tls = {
      cert: mounted.path("tls.crt"),
      key: mounted.path("tls.key"),
      clientCa: mounted.path("ca.crt"),
    };
    gateway = await startGateway({ edge: { tls } });
    await gateway.apply(
      route({
        rateLimit: {
          identity: [{ san: "connection" }],
          tiers: {
            free: { requestsPerSecond: 1000, burst: 1000 },
            once: { requestsPerSecond: 0.0001, burst: 1 },
          },
          tenants: { "san:ada": "free" },
          default: "once",
        },
      }),
    );
  });
  afterAll(async () => {
    await gateway?.stop();
    mounted?.remove();
  });

  it("only clients with its certificates are served, and the name in it is the tenant", async () => {
    for (let i = 0; i < 4; i++) expect(await ask(gateway.url, identity(first))).toBe(200);
    expect(await ask(gateway.url)).toBe(0);
    expect(await ask(gateway.url, identity(second))).toBe(0);
  });

  it("an authority that is renewed is the one that counts", async () => {
    mounted.put(filesOf(second));
    await expect.poll(() => ask(gateway.url, identity(second)), { timeout: 20_000 }).toBe(200);
    await expect.poll(() => ask(gateway.url, identity(first)), { timeout: 20_000 }).toBe(0);
  });
});

it("a file that the proxy cannot read is named in the log, and no client is served", async () => {
  const lines: string[] = [];
  const mounted = mountSecret({});
  const tls = { cert: mounted.path("tls.crt"), key: mounted.path("tls.key") };
  const gateway = await startGateway({ edge: { tls }, log: (line) => void lines.push(line) });
  try {
    await gateway.apply(route());
    const named = () => lines.some((line) => /refused SDS/.test(line) && line.includes(tls.cert));
    await expect.poll(named, { timeout: 20_000 }).toBe(true);
    expect(await ask(gateway.url)).toBe(0);
  } finally {
    await gateway.stop();
    mounted.remove();
  }
});

it("a dump of the proxy's configuration has no key", async () => {
  const tls = { cert: first.cert("server"), key: first.key("server") };
  const gateway = await startGateway({ edge: { tls } });
  try {
    await gateway.apply(route());
    await expect.poll(() => ask(gateway.url), { timeout: 20_000 }).toBe(200);
    const dump = await (await fetch(`${gateway.admin}/config_dump?include_eds`)).text();
    const held = [...dump.matchAll(/"inline_bytes": "([^"]*)"/g)].map(([, bytes = ""]) =>
      Buffer.from(bytes, "base64").toString("utf8"),
    );
    expect(held).toContain("[redacted]");
    const key = readFileSync(tls.key, "utf8").split("\n")[1] ?? "";
    expect([dump, ...held].filter((text) => text.includes(key))).toEqual([]);
  } finally {
    await gateway.stop();
  }
});
