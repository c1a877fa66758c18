// A pod for tests: it answers with its name, one piece at a time, as often as x-pieces asks for.
import { createServer } from "node:http";

const [port, name] = process.argv.slice(2);
const server = createServer((request, response) => {
  if (request.url === "/health") {
    response.end();
    return;
  }
  let left = Number(request.headers["x-pieces"] ?? 1);
  response.writeHead(200, { "content-type": "text/event-stream", "x-pod": name });
  const write = () => {
    response.write(`data: ${name}\n\n`);
    left--;
    if (left > 0) setTimeout(write, 100);
    else response.end();
  };
  write();
});
server.listen(Number(port), "127.0.0.1");
