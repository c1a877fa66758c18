import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Pod, startPod } from "../../control/pods/index.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { type GatewayClient, gatewayClient } from "./gateway-client.ts";

const firstByteMs = 2000;
const path = "/v1/chat/completions";

let pod: Pod;
let gateway: Gateway;
let client: GatewayClient;

const routeNamed = (name: string, retries?: object) => ({
  apiVersion: "weir.dev/v1alpha1",
  kind: "InferenceRoute",
  metadata: { name, namespace: "inference" },
  spec: {
    hosts: [`${name}.example.com`],
    variants: [{ name: "stable", weight: 100, endpoints: [`127.0.0.1:${pod.port}`] }],
    resilience: { firstByteTimeout: `${firstByteMs / 1000}s`, ...(retries ? { retries } : {}) },
  },
});

/** Changes how the pod behaves, past the gateway. */
const behave = (behaviour: object) =>
  fetch(`http://127.0.0.1:${pod.port}/behaviour`, {
    method: "PUT",
    body: JSON.stringify({ hangRate: 0, firstTokenMs: 20, tokens: 3, ...behaviour }),
  });
const ask = (host: string, stream: boolean) =>
  client.post(path, { stream, messages: [{ content: "hello" }] }, { host: `${host}.example.com` });
/** Completions that reached the pod. */
const ran = () => pod.served.get(path) ?? 0;

beforeAll(async () => {
  pod = await startPod("stable", "127.0.0.1", 0);
  gateway = await startGateway();
  const conditions = ["connect-failure", "refused-stream", "reset-before-request", "retriable-4xx"];
  await gateway.apply(
    routeNamed("tried", { attempts: 3, retryOn: conditions }),
    routeNamed("chat"),
  );
  client = gatewayClient(gateway.url);
});
afterAll(async () => {
  client?.close();
  await gateway?.stop();
  await pod?.close();
});

describe.each(["chat", "tried"])("firstByteTimeout of route %s", (host) => {
  let before: number;
  beforeEach(() => {
    before = ran();
  });

  it.each([true, false])(
    "answers with 504 where a pod hangs, and asks it once (streamed: %s)",
    async (stream) => {
      await behave({ hangRate: 1 });
      const start = performance.now();
      const { status } = await ask(host, stream);
      expect(status).toBe(504);
      // Timers of Envoy may be a moment early.
      expect(performance.now() - start).toBeGreaterThan(firstByteMs - 100);
      await behave({});
      expect((await ask(host, stream)).status).toBe(200);
      expect(ran()).toBe(before + 2);
    },
  );

  it("never cuts a stream that lives, however long its tokens take", async () => {
    await behave({ tokenGapMs: firstByteMs + 1000 });
    const { body, status } = await ask(host, true);
    expect(status).toBe(200);
    expect(body.toString()).toMatch(/data: \[DONE\]\n\n$/);
    expect(ran()).toBe(before + 1);
  });

  it("holds for an answer that comes whole until it is whole", async () => {
    await behave({ firstTokenMs: firstByteMs + 2000 });
    expect((await ask(host, false)).status).toBe(504);
    expect(ran()).toBe(before + 1);
  });
});
