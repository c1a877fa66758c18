import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import { afterEach, expect, it } from "vitest";
import { type Pod, type PodBehaviour, startPod } from "../../control/pods/index.ts";

let pod: Pod | undefined;
let agent: Agent | undefined;
afterEach(async () => {
  await agent?.destroy();
  await pod?.close();
});

const quick = { firstTokenMs: 0, tokenGapMs: 0, tokens: 3 };

/** A pod of that behaviour, and what asks it for completions over one connection. */
async function podThat(behaviour: Partial<PodBehaviour>) {
  const started = await startPod("pod", "127.0.0.1", 0, { ...quick, ...behaviour });
  pod = started;
  let connections = 0;
  const client = new Agent({ connections: 1 });
  agent = client.on("connect", () => {
    connections++;
  });
  const ask = async (body: object = {}, headers: Record<string, string> = {}) => {
    const answer = await request(`http://127.0.0.1:${started.port}/v1/chat/completions`, {
      method: "POST",
      headers,
      body: JSON.stringify({ messages: [{ content: "hello there" }], ...body }),
      dispatcher: client,
    });
    const text = await answer.body.text();
    // The end of a connection may come after that of the answer: the next request would meet it.
    await sleep(50);
    const events = [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, each = ""]) =>
      JSON.parse(each),
    );
    return { ...answer, text, events };
  };
  return { ask, connections: () => connections, port: started.port };
}

const asksLoad = { "endpoint-load-metrics-format": "TEXT" };
const stream = { stream: true, stream_options: { include_usage: true } };

it("tells its load on JSON alone, as vLLM does", async () => {
  const { ask } = await podThat({});
  expect((await ask({}, asksLoad)).headers).toHaveProperty("endpoint-load-metrics");
  expect((await ask(stream, asksLoad)).headers).not.toHaveProperty("endpoint-load-metrics");
});

it("tells it nowhere but in its metrics, as llama.cpp does", async () => {
  const { ask, port } = await podThat({ server: "llama.cpp", waiting: 4 });
  expect((await ask({}, asksLoad)).headers).not.toHaveProperty("endpoint-load-metrics");
  const { body } = await request(`http://127.0.0.1:${port}/metrics`);
  expect(await body.text()).toBe("llamacpp:requests_processing 0\nllamacpp:requests_deferred 4\n");
});

it("says that the connection ends where it refuses a body before it has read all of it", async () => {
  const { ask } = await podThat({});
  const messages = (bytes: number) => [{ content: "x".repeat(bytes) }];
  const kept = await ask({ messages: messages(4_000_000) });
  expect([kept.statusCode, kept.headers.connection]).toEqual([200, "keep-alive"]);
  const refused = await ask({ messages: messages(4 << 20) });
  expect([refused.statusCode, refused.headers.connection]).toEqual([413, "close"]);
});

it("closes the connection after a stream where it is llama.cpp, and keeps it where not", async () => {
  for (const [server, wanted] of [
    ["vllm", 1],
    ["llama.cpp", 3],
  ] as const) {
    const { ask, connections } = await podThat({ server });
    for (let i = 0; i < 3; i++) {
      const { headers, text } = await ask(stream);
      expect(text).toContain("[DONE]");
      expect(headers.connection).not.toBe("close");
    }
    expect(connections()).toBe(wanted);
    await agent?.destroy();
    await pod?.close();
  }
});

it("has a usage event for each choice, and timings, as llama.cpp has", async () => {
  const { ask } = await podThat({ server: "llama.cpp" });
  const { events } = await ask({ ...stream, n: 2 });
  const usages = events.filter(({ usage }) => usage);
  expect(usages.map(({ usage }) => usage.completion_tokens)).toEqual([3, 3]);
  expect(usages[0].timings).toMatchObject({ predicted_n: 3 });
  const { events: unasked } = await ask({ stream: true });
  expect(unasked.at(-1)).toHaveProperty("timings");
  expect(JSON.parse((await ask({ n: 2 })).text).usage.completion_tokens).toBe(3);
});

it("has one usage for all choices, as vLLM has", async () => {
  const { ask } = await podThat({});
  const { events } = await ask({ ...stream, n: 2 });
  expect(events.flatMap(({ usage }) => (usage ? [usage.completion_tokens] : []))).toEqual([6]);
  expect(JSON.parse((await ask({ n: 2 })).text).choices).toHaveLength(2);
});

it("refuses what its context has no room for", async () => {
  const { ask } = await podThat({ contextTokens: 20 });
  expect((await ask({ max_tokens: 10 })).statusCode).toBe(200);
  const { statusCode, text } = await ask({ max_tokens: 18 });
  expect(statusCode).toBe(400);
  expect(JSON.parse(text).error.message).toBe(
    "this model's context is 20 tokens, the request wants 21",
  );
});

it("hangs without an answer, if it is to", async () => {
  const { port } = await podThat({ hangRate: 1 });
  const asked = fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    body: "{}",
    signal: AbortSignal.timeout(300),
  });
  await expect(asked).rejects.toThrow(/timeout/);
});

it("closes a connection that is idle for as long as it is told", async () => {
  const { ask, connections } = await podThat({ idleMs: 50 });
  await ask();
  await expect
    .poll(
      async () => {
        await sleep(1_500);
        await ask();
        return connections();
      },
      { timeout: 10_000 },
    )
    .toBeGreaterThan(1);
});
