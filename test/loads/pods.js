// So many pods in a process of their own, each on its own port of loopback, whose metrics
// are the text given on standard input. Prints the ports.
import { createServer } from "node:http";

let text = "";
for await (const piece of process.stdin) text += piece;
const ports = await Promise.all(
  Array.from(
    { length: Number(process.argv[2]) },
    () =>
      new Promise((resolve) => {
        const server = createServer((_, response) =>
          response.writeHead(200, { "content-type": "text/plain" }).end(text),
        );
        server.listen(0, "127.0.0.1", () => {
          const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
          resolve(port);
        });
      }),
  ),
);
console.log(JSON.stringify(ports));
