import { createServer } from "node:http";
import { connect } from "node:http2";
import { hosts } from "./policies.js";

const perConnection = 100;

/** An upstream that begins each answer and never ends it. */
export async function startEndless() {
  const server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
  });
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

/** Opens that many streams over HTTP/2 and waits until each has begun. @param {number} port @param {number} count */
export async function openStreamsTo(port, count) {
  const sessions = Array.from({ length: Math.ceil(count / perConnection) }, () =>
    connect(`http://127.0.0.1:${port}`),
  );
  await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const stream = sessions[Math.floor(i / perConnection)]?.request({
        ":path": "/v1/chat/completions",
        ":authority": hosts.open,
        "x-tenant-id": "acme",
        "x-user-id": `user-${i}`,
      });
      return new Promise((resolve, reject) => {
        stream?.on("error", reject);
        stream?.once("data", resolve);
      });
    }),
  );
  return {
    close() {
      for (const session of sessions) session.destroy();
    },
  };
}
