import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** An event as a model server writes one per token. */
const event = `data: ${JSON.stringify({
  id: "chatcmpl-3f8e2a51-6a38-49d2-a1b4-2f6d8c0b7e11",
  object: "chat.completion.chunk",
  created: 1_700_000_000,
  model: "meta-llama/Llama-3.3-70B-Instruct",
  choices: [{ index: 0, delta: { content: " river" }, logprobs: null, finish_reason: null }],
})}\n\n`;

/** Bytes of one event. */
export const eventBytes = event.length;

/** A pod that streams events, each in a write of its own; the query tells how many and how far apart. */
export async function startStreamer() {
  const server = createServer(async (request, response) => {
    const query = new URL(request.url ?? "/", "http://pod").searchParams;
    request.resume();
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let i = 0; i < Number(query.get("events")); i++) {
      response.write(event);
      await sleep(Number(query.get("gap")));
    }
    response.end("data: [DONE]\n\n");
  });
  // Longer than any pause between rounds: a connection closed meanwhile would fail a request.
  server.keepAliveTimeout = 600_000;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
