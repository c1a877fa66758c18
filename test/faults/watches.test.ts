import { createServer, type RequestListener } from "node:http";
import { type ClientHttp2Session, connect, createServer as createHttp2 } from "node:http2";
import { type AddressInfo, connect as connectTcp, type Socket } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { ApiContext } from "../../control/api/index.ts";
import { guardStore } from "../../control/api/index.ts";
import { createUnread } from "../../control/service/ports/unread.ts";
import { openStore, type Store, StoreUnavailableError } from "../../control/store/index.ts";
import { openRequests } from "./open-requests.ts";

const patience = { timeout: 50_000 };

/** What watches hold while they are open, by what they listen to. */
let held: Record<string, number>;
let store: Store;
let stop: AbortController;
/** Calls of the store after which it cannot be read; none by itself. */
let reads: number;
beforeEach(() => {
  held = {};
  reads = Number.POSITIVE_INFINITY;
  store = openStore("memory");
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort(new Error("the end"));
  await store.close();
});

/** What a test leaves open ends while the next one runs, and is let go of where it was counted. */
const hold = (what: string) => {
  const mine = held;
  mine[what] = (mine[what] ?? 0) + 1;
  return () => {
    mine[what] = (mine[what] ?? 0) - 1;
  };
};
const inAll = () => Object.values(held).reduce((sum, each) => sum + each, 0);

/** The watches of the store, counted for as long as they are open. */
const counted =
  <Event>(what: string, watch: (after: bigint, signal: AbortSignal) => AsyncIterable<Event>) =>
  (after: bigint, signal: AbortSignal): AsyncIterable<Event> => {
    const events = watch(after, signal);
    return (async function* () {
      const release = hold(what);
      try {
        yield* events;
      } finally {
        release();
      }
    })();
  };

/** A read of the store that fails once it has been read often enough. */
const failing =
  <Answer>(read: () => Promise<Answer>) =>
  async (): Promise<Answer> => {
    if (reads-- <= 0) throw new StoreUnavailableError("the disk is gone");
    return read();
  };

/** The API over both versions of HTTP, with all that watches listen to counted. */
async function startApi(): Promise<{ http1: number; http2: number }> {
  const proxies = Array.from({ length: 50 }, (_, i) => ({ node: `proxy-${i}`, connected: true }));
  const context = {
    store: guardStore({
      ...store,
      list: failing(store.list),
      listRollouts: failing(store.listRollouts),
      watch: counted("routes", store.watch),
      watchRollouts: counted("rollouts", store.watchRollouts),
    }),
    fleet: { list: () => proxies, onChange: () => hold("fleet") },
    peers: { proxies: () => [], onChange: () => hold("peers"), proxyViews: () => [] },
    relay: { open: () => ({ take: () => ({ reports: [], grants: [] }), close: hold("relay") }) },
    rollouts: { onProgress: () => hold("progress"), walking: () => [], progress: () => ({}) },
    published: () => undefined,
    scope: () => ["*"],
    ledger: {},
    replica: "here",
  } as unknown as ApiContext;
  const onRequest = openRequests(context, stop.signal);
  const servers = [createServer(onRequest), createHttp2(onRequest as never)];
  const ports = await Promise.all(
    servers.map(async (server) => {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void server.close());
      return (server.address() as AddressInfo).port;
    }),
  );
  return { http1: ports[0] ?? 0, http2: ports[1] ?? 0 };
}

const watches = [
  "/weir.v1.FleetService/WatchProxies",
  "/weir.v1.RouteService/WatchRoute",
  "/weir.v1.RolloutService/WatchRollout",
];
const body = { connect: "\0\0\0\0\u0002{}", grpc: "\0\0\0\0\0" };
const kinds: [string, string][] = [
  ["application/connect+json", body.connect],
  ["application/grpc+proto", body.grpc],
  ["application/grpc-web+proto", body.grpc],
];

/** What follows an event of a stream, also behind an await, runs below nghttp2: no session may be destroyed there. */
const endLater = (session: ClientHttp2Session) =>
  onTestFinished(() => void setImmediate(() => session.destroy()));

function openOver2(port: number, path: string, type: string, text: string) {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": type });
  stream.on("error", () => {});
  stream.end(text);
  endLater(session);
  return { session, stream };
}

const ends: [string, (session: ClientHttp2Session, cancel: () => void) => void][] = [
  ["a reset", (_session, cancel) => cancel()],
  ["the end of its session", (session) => session.destroy()],
];

describe.each(watches)("%s", (path) => {
  describe.each(kinds)("as %s", (type, text) => {
    it.each(ends)("lets go of everything at %s over HTTP/2, answered or not", async (_how, end) => {
      const { http2 } = await startApi();
      for (const waits of [true, false]) {
        const { session, stream } = openOver2(http2, path, type, text);
        if (waits) await expect.poll(inAll, patience).toBeGreaterThan(0);
        end(session, () => stream.close(8));
        await new Promise((resolve) => stream.once("close", resolve));
        await expect.poll(inAll, patience).toBe(0);
      }
    });
  });

  it("lets go of everything when a connection over HTTP/1.1 ends, by a FIN or a reset", async () => {
    const { http1 } = await startApi();
    for (const end of [(s: Socket) => s.end(), (s: Socket) => s.resetAndDestroy()]) {
      const socket = connectTcp(http1, "127.0.0.1");
      socket.on("error", () => {}).resume();
      const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${http1}\r\ncontent-type: application/connect+json`;
      socket.write(`${head}\r\ncontent-length: 7\r\n\r\n${body.connect}`);
      await expect.poll(inAll, patience).toBeGreaterThan(0);
      end(socket);
      await expect.poll(inAll, patience).toBe(0);
    }
  });
});

it.each(watches)("%s holds nothing when the store cannot be read, early or late", async (path) => {
  const { http2 } = await startApi();
  const watch = openOver2(http2, watches[0] ?? "", ...(kinds[0] as [string, string]));
  await expect.poll(inAll, patience).toBe(2);
  for (let after = 0; after < 3; after++) {
    reads = after;
    const { stream } = openOver2(http2, path, ...(kinds[0] as [string, string]));
    let text = "";
    stream.on("data", (chunk) => {
      text += chunk;
    });
    await expect.poll(() => reads < 0 || inAll() > 2, patience).toBe(true);
    if (reads < 0) await expect.poll(() => text, patience).toContain("the disk is gone");
    stream.close(8);
    reads = Number.POSITIVE_INFINITY;
    await expect.poll(inAll, patience).toBe(2);
  }
  watch.stream.close(8);
});

it("a thousand watches that are taken back leave nothing", async () => {
  const { http2 } = await startApi();
  const all = Array.from({ length: 1_000 }, (_, i) =>
    openOver2(http2, watches[i % watches.length] ?? "", ...(kinds[i % 2] as [string, string])),
  );
  await expect.poll(inAll, patience).toBeGreaterThan(1_000);
  for (const { stream } of all) stream.close(8);
  await expect.poll(inAll, patience).toBe(0);
});

it("watches end as unavailable when the service does", async () => {
  const { http2 } = await startApi();
  const { stream } = openOver2(http2, watches[0] ?? "", ...(kinds[0] as [string, string]));
  let text = "";
  stream.on("data", (chunk) => {
    text += chunk;
  });
  await expect.poll(() => text, patience).toContain("proxy-49");
  stop.abort(new ConnectError("the end", Code.Unavailable));
  await new Promise((resolve) => stream.once("end", resolve));
  expect(text).toMatch(/"error":\{"code":"unavailable"/);
  await expect.poll(inAll, patience).toBe(0);
});

/** A server whose answers are looked after with little patience. */
async function startAnswers(answer: RequestListener, version: 1 | 2): Promise<number> {
  const unread = createUnread(stop.signal, 400);
  const onRequest: RequestListener = (req, res) => {
    unread(res);
    answer(req, res);
  };
  const server = version === 1 ? createServer(onRequest) : createHttp2(onRequest as never);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}
const large = Buffer.alloc(8 << 20, "x");

describe("answers that nobody reads are given up", () => {
  it("after a minute without a byte read, and not before", () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const unread = createUnread(stop.signal);
    const answerOf = (writableLength: () => number) => {
      const destroy = vi.fn();
      unread({
        once: () => {},
        destroy,
        get writableLength() {
          return writableLength();
        },
      } as never);
      return destroy;
    };
    let left = 1_000;
    const [stuck, slow] = [answerOf(() => 1_000), answerOf(() => left--)];
    vi.advanceTimersByTime(60_000);
    expect(stuck).not.toHaveBeenCalled();
    vi.advanceTimersByTime(30_000);
    expect(stuck).toHaveBeenCalled();
    expect(slow).not.toHaveBeenCalled();
  });

  it("over HTTP/2, while another stream of the session is read", async () => {
    let closed = 0;
    const port = await startAnswers((req, res) => {
      res.on("close", () => closed++);
      if (req.url === "/large") res.end(large);
      else res.write("a watch");
    }, 2);
    const session = connect(`http://127.0.0.1:${port}`);
    endLater(session);
    const watch = session.request({ ":path": "/watch" });
    watch.resume();
    const stuck = session.request({ ":path": "/large" });
    stuck.on("error", () => {}).pause();
    await new Promise((resolve) => stuck.once("close", resolve));
    expect(closed).toBe(1);
    expect(watch.closed).toBe(false);
  });

  it("over HTTP/1.1", async () => {
    let closed = 0;
    const port = await startAnswers((_req, res) => {
      res.on("close", () => closed++).end(large);
    }, 1);
    const socket = connectTcp(port, "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {}).pause();
    socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await expect.poll(() => closed, patience).toBe(1);
  });

  it("and so are requests over HTTP/2 that do not become whole, but not watches", async () => {
    const port = await startAnswers((_req, res) => void res.write("a watch"), 2);
    const session = connect(`http://127.0.0.1:${port}`);
    endLater(session);
    const watch = session.request({ ":path": "/", ":method": "POST" });
    watch.resume().end("whole");
    const slow = session.request({ ":path": "/", ":method": "POST" }, { endStream: false });
    slow.on("error", () => {}).resume();
    const drip = setInterval(() => slow.destroyed || slow.write("x"), 50);
    onTestFinished(() => clearInterval(drip));
    await new Promise((resolve) => slow.once("close", resolve));
    expect(watch.closed).toBe(false);
  });
});
