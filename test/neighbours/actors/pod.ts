import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { completion, completionChunks, goodPod } from "../../../control/pods/completion.ts";

// A pod that closes a connection on which nobody asked for five seconds, as servers
// do by default, meets a request on its way now and then, and fails it: that is
// between the pod and the proxy. These keep theirs, so that no failed request is their doing.
const keepAliveMs = 600_000;

/** A pod that is healthy all the time; it names itself in the header x-pod. */
export async function startHealthyPod(name: string): Promise<{ port: number; close(): unknown }> {
  const server = createServer((req, res) => {
    res.setHeader("x-pod", name);
    let body = "";
    req.on("data", (chunk: Buffer) => {
      body += chunk;
    });
    req.on("end", () => {
      if (req.method !== "POST") {
        res.setHeader("content-type", "application/json").end('{"object":"list","data":[]}');
        return;
      }
      const request = JSON.parse(body);
      if (!request.stream) {
        const answer = JSON.stringify(completion("chatcmpl-1", request, goodPod));
        res.setHeader("content-type", "application/json").end(answer);
        return;
      }
      res.setHeader("content-type", "text/event-stream");
      for (const chunk of completionChunks("chatcmpl-1", request, goodPod))
        res.write(`data: ${JSON.stringify(chunk)}\n\n`);
      res.end("data: [DONE]\n\n");
    });
  });
  server.keepAliveTimeout = keepAliveMs;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
