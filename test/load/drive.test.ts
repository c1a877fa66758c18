import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { drive, type LoadOptions } from "../../control/load/index.ts";
import { type Pod, type PodBehaviour, startPod } from "../../control/pods/index.ts";
import { questionsOf } from "./question.ts";

const question = questionsOf(0.5);
const load = (port: number, options: Partial<LoadOptions> = {}) =>
  drive({
    target: `http://127.0.0.1:${port}`,
    stages: [{ requestsPerSecond: 100, durationMs: 1000 }],
    question,
    maxOpen: 1000,
    drainMs: 10_000,
    ...options,
  });

let pod: Pod | undefined;
let server: Server | undefined;
afterEach(async () => {
  await pod?.close();
  server?.closeAllConnections();
  server?.close();
  pod = undefined;
  server = undefined;
});
const podWith = async (behaviour: Partial<PodBehaviour>) => {
  pod = await startPod("only", "127.0.0.1", 0, behaviour);
  return pod.port;
};

describe("load on a pod", () => {
  it("counts every request once, by stage and by variant, with its tokens", async () => {
    const port = await podWith({ firstTokenMs: 30, tokenGapMs: 1 });
    const { stages, total, cut } = await load(port, {
      stages: [
        { requestsPerSecond: 50, durationMs: 500 },
        { requestsPerSecond: 200, durationMs: 500 },
      ],
    });
    expect(cut).toBe(false);
    expect(total.requests).toBe(pod?.served.get("/v1/chat/completions"));
    expect(total).toMatchObject({ ok: total.requests, refused: 0, failed: 0 });
    expect(stages.map(({ sent }) => sent).reduce((a, b) => a + b)).toBe(total.requests);
    expect(stages[1]?.variants.only?.requests).toBe(stages[1]?.sent);
    expect(total.outputTokens).toBe(8 * total.requests);
    expect(total.firstTokenMs.p50).toBeGreaterThanOrEqual(30);
  });
  it("takes a stream that ends without [DONE] for a failure, and says so", async () => {
    const port = await podWith({ firstTokenMs: 0, tokenGapMs: 0, cutRate: 1 });
    const { total } = await load(port);
    expect(total.failed).toBeGreaterThan(total.requests * 0.4);
    expect(total.failed).toBeLessThan(total.requests * 0.6);
    expect(total.failures[0]?.reason).toBe("stream cut short");
  });
  it("takes a pod's errors for failures", async () => {
    const { total } = await load(await podWith({ errorRate: 1 }));
    expect(total.failures).toEqual([{ reason: "status 500", count: total.requests }]);
    expect(total.latencyMs.p99).toBeNaN();
  });
});

describe("an error within a success", () => {
  it.each([
    ["a stream", 1],
    ["a whole answer", 0],
  ])("is a failure in %s", async (_name, streams) => {
    const port = await podWith({ firstTokenMs: 0, tokenGapMs: 0, failRate: 1 });
    const { total } = await load(port, { question: questionsOf(streams) });
    expect(total.failures).toEqual([{ reason: "an error within a 200", count: total.requests }]);
    expect(total.latencyMs.p99).toBeNaN();
  });
});

describe("load on a server", () => {
  const serverWith = async (listener: Parameters<typeof createServer>[1]) => {
    const made = createServer(listener);
    server = made;
    await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
    return (made.address() as AddressInfo).port;
  };
  /** Answers with these events, each time split at the next byte. */
  const streamSplitAnywhere = (events: string) => {
    let at = 0;
    return serverWith((_req, res) => {
      const split = at++ % events.length;
      res.writeHead(200, { "content-type": "text/event-stream" });
      res.write(events.slice(0, split));
      setTimeout(() => res.end(events.slice(split)), 5);
    });
  };

  it("goes on asking while the server stands still, and counts the wait", async () => {
    const stillMs = 800;
    const begin = Date.now();
    const port = await serverWith((_req, res) => {
      setTimeout(() => res.end("{}"), Math.max(0, begin + stillMs - Date.now()));
    });
    const { total } = await load(port, { stages: [{ requestsPerSecond: 100, durationMs: 700 }] });
    // A closed loop would have sent one request per connection and then waited.
    expect(total.requests).toBeGreaterThan(40);
    expect(total.latencyMs.p50).toBeGreaterThan(250);
  });
  it("tells refusals from failures", async () => {
    let n = 0;
    const port = await serverWith((_req, res) => res.writeHead(n++ % 2 ? 429 : 503).end());
    const { total } = await load(port);
    expect(total).toMatchObject({ refused: total.requests, failed: 0 });
  });
  it("sends no more than may be open, and tells how many it left out", async () => {
    const port = await serverWith((_req, res) => void setTimeout(() => res.end("{}"), 1500));
    const { stages } = await load(port, { maxOpen: 20 });
    expect(stages[0]?.sent).toBe(20);
    expect(stages[0]?.notSent).toBeGreaterThan(40);
  });
  it("reads the answers that have come before it leaves anything out", async () => {
    const port = await serverWith((_req, res) => res.end("{}"));
    // All at once, and then none: the generator is behind from the first on.
    const due = 2000;
    let n = 0;
    const { stages } = await load(port, {
      maxOpen: 20,
      random: () => (n++ < due ? 0 : 1 - Number.EPSILON),
      stages: [{ requestsPerSecond: 100, durationMs: 300 }],
    });
    const { sent, notSent } = stages[0] ?? { sent: 0, notSent: 0 };
    expect(sent + notSent).toBe(due);
    expect(sent).toBeGreaterThan(100);
  });
  it("finds events that are split at any byte", async () => {
    const events =
      'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\ndata: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"delta":{"content":"b"}}]}\n\ndata: [DONE]\n\n';
    const port = await streamSplitAnywhere(events);
    const { total } = await load(port, { stages: [{ requestsPerSecond: 400, durationMs: 1000 }] });
    expect(total.requests).toBeGreaterThan(events.length);
    expect(total.failed).toBe(0);
    expect(total.outputTokens).toBe(2 * total.requests);
  });
  it.each<[name: string, event: string, failed: boolean]>([
    ["an error", '{"error":{"message":"no"}}', true],
    ["an error in a word", '{"error": "no"}', true],
    ["no error that is null", '{"error":null,"choices":[]}', false],
    [
      "no error in what the model writes",
      JSON.stringify({ choices: [{ delta: { content: '{"error":{"code":500}}' } }] }),
      false,
    ],
  ])("reads %s in a stream, split at any byte", async (_name, event, failed) => {
    const events = `data: ${event}\n\ndata: [DONE]\n\n`;
    const port = await streamSplitAnywhere(events);
    const { total } = await load(port, { stages: [{ requestsPerSecond: 300, durationMs: 500 }] });
    expect(total.requests).toBeGreaterThan(events.length);
    expect(total.failed).toBe(failed ? total.requests : 0);
  });
  it("stops when it is told to, with what was measured so far", async () => {
    const port = await serverWith((_req, res) => res.end("{}"));
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    const result = await load(port, {
      stages: [{ requestsPerSecond: 100, durationMs: 60_000 }],
      signal: controller.signal,
    });
    expect(result.cut).toBe(true);
    expect(result.total.ok).toBeGreaterThan(5);
  });
  it("names a gateway that does not answer", async () => {
    const { total } = await load(1, { stages: [{ requestsPerSecond: 20, durationMs: 300 }] });
    expect(total.failures).toEqual([{ reason: "ECONNREFUSED", count: total.requests }]);
  });
});
